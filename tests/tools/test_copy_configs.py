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
    return {path.relative_to(folder): path.read_text() for path in folder.rglob('*.py')}


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


@pytest.mark.parametrize('kind', ['folder', 'file'])
def test_nothing_is_overwritten(copy_configs, tmp_path, kind):
    path = tmp_path / 'mine'
    path.mkdir() if kind == 'folder' else path.touch()
    with pytest.raises(InputError, match='mine exists already: choose another DIR'):
        copy_configs('mine')
    assert list(tmp_path.rglob('*')) == [path]
