"""Configs for the user's own folder."""

from functools import partial
from pathlib import Path

import pytest
from mmengine.config import Config

from mlcl_mmseg.errors import InputError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy_configs(tmp_path, run_tool, monkeypatch):
    """Run the tool in this process in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return partial(run_tool, 'copy_configs.py')


def contents(folder):
    return {path.relative_to(folder): path.read_text('utf-8') for path in folder.rglob('*.py')}


def test_a_config_of_ones_own(copy_configs, tmp_path, capsys):
    copy_configs()
    assert capsys.readouterr().out == 'configs contains the shipped configs.\n'
    assert contents(tmp_path / 'configs') == contents(ROOT / 'configs')
    assert not list(tmp_path.rglob('__pycache__'))
    own = tmp_path / 'configs/mlcl/own.py'
    own.write_text("_base_ = './g2ci.py'\nmodel = dict(gamma=2.0)")
    config = Config.fromfile(own)
    assert config.model.gamma == 2
    assert Path(config.stage_before).resolve() == tmp_path / 'configs/warmup/g2ci.py'


def test_overwriting(copy_configs, tmp_path):
    """Files of the same names are replaced, links not followed, others kept."""
    copy_configs('mine')
    before = contents(tmp_path / 'mine')
    (tmp_path / 'mine/own.py').write_text('own', encoding='utf-8')
    (tmp_path / 'mine/mlcl/g2ci.py').unlink()
    (tmp_path / 'precious').write_text('precious', encoding='utf-8')
    (tmp_path / 'mine/mlcl/g2ci.py').symlink_to(tmp_path / 'precious')
    copy_configs('mine', '--overwrite')
    assert contents(tmp_path / 'mine') == {**before, Path('own.py'): 'own'}
    assert (tmp_path / 'precious').read_text('utf-8') == 'precious'


@pytest.mark.parametrize('out', [ROOT / 'configs', ROOT / 'configs/mlcl'])
def test_the_shipped_configs_are_never_replaced(copy_configs, out):
    with pytest.raises(InputError, match='the shipped configs themselves: choose another DIR'):
        copy_configs(out, '--overwrite')


@pytest.mark.parametrize('kind', ['folder', 'file'])
def test_nothing_is_overwritten(copy_configs, tmp_path, kind):
    path = tmp_path / 'mine'
    path.mkdir() if kind == 'folder' else path.touch()
    with pytest.raises(InputError, match='mine exists already: choose another DIR'):
        copy_configs('mine')
    assert list(tmp_path.rglob('*')) == [path]
