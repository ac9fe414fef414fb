"""The stages that tools/train.py makes of a config and of those that it names."""

import importlib
from pathlib import Path

import pytest

from mlcl_mmseg.command_line import read_config
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.stage_chain import read_stages

from ..conftest import TOOLS

MODELS = dict(first='EncoderDecoder', second='AdversarialWarmup', third='MCLSegmentor')


@pytest.fixture
def load_stages(tmp_path, monkeypatch):
    """The stages of the third of three configs, each of which names the one before."""
    monkeypatch.syspath_prepend(TOOLS)
    train = importlib.import_module('train')
    before = None
    for name, model in MODELS.items():
        lines = [f'model = dict(type={model!r})', 'load_from = None', 'train_cfg = None']
        if before is not None:
            lines.append(f'stage_before = {before!r}')
        before = str(tmp_path / f'{name}.py')
        Path(before).write_text('\n'.join(lines))

    def load(*options, config='third.py', work_dir=None):
        arguments = ['train.py', str(tmp_path / config)]
        if options:
            arguments += ['--cfg-options', *options]
        if work_dir is not None:
            arguments += ['--work-dir', work_dir]
        monkeypatch.setattr('sys.argv', arguments)
        args = train.parse_args()
        return read_stages(args.config, args.cfg_options, args.work_dir, args.launcher)

    return load


def names(stages):
    return [Path(stage.filename).stem for stage in stages]


def test_all_stages_of_a_chain(load_stages):
    assert names(load_stages()) == ['first', 'second', 'third']
    assert names(load_stages(config='second.py')) == ['first', 'second']
    assert names(load_stages(config='first.py')) == ['first']


def test_each_lies_in_a_folder_of_the_one_after(load_stages, tmp_path):
    folders = [stage.work_dir for stage in load_stages(work_dir='X')]
    assert folders == ['X/warmup/encoder_decoder', 'X/warmup', 'X']
    default = [stage.work_dir for stage in load_stages()]
    assert default == [f'work_dirs/{tmp_path.name}/{name}' for name in MODELS]


def test_a_checkpoint_makes_the_stages_before_it_unnecessary(load_stages):
    assert names(load_stages('load_from=a.pth')) == ['third']
    assert names(load_stages('stage_before.load_from=a.pth')) == ['second', 'third']


@pytest.mark.parametrize('old', ['warmup.warmup', 'warmup.stage_before', 'stage_before.warmup'])
def test_options_of_each_stage(load_stages, old):
    """By the present and the old name of the setting, in any mixture."""
    for prefix in (old, 'stage_before.stage_before'):
        stages = load_stages(
            'randomness.seed=3', 'warmup.randomness.seed=2', f'{prefix}.randomness.seed=1'
        )
        assert [stage.randomness.seed for stage in stages] == [1, 2, 3]


def test_another_stage_before(load_stages, tmp_path):
    first = tmp_path / 'first.py'
    for name in ('warmup', 'stage_before'):
        assert names(load_stages(f'{name}={first}')) == ['first', 'third']
        assert names(load_stages(f'{name}=None')) == ['third']


def test_options_of_a_stage_that_is_not_trained(load_stages):
    message = 'stage_before.stage_before.randomness.seed is for a stage before .*first.py, but'
    with pytest.raises(InputError, match='stage_before.randomness.seed is for a stage before .*fi'):
        load_stages('stage_before.stage_before.stage_before.randomness.seed=1')
    with pytest.raises(InputError, match=message):
        load_stages('stage_before.stage_before.randomness.seed=1', config='first.py')


@pytest.mark.parametrize('name', MODELS)
def test_a_circle(load_stages, tmp_path, name):
    """By whatever path."""
    (tmp_path / 'link').symlink_to(tmp_path)
    with open(tmp_path / 'first.py', 'a') as file:
        file.write(f'\nstage_before = {str(tmp_path / "link" / f"{name}.py")!r}')
    with pytest.raises(InputError, match=f'{name}.py comes before itself: correct stage_before in'):
        load_stages()


def test_the_old_name(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text('warmup = "configs/warmup/g2ci.py"')
    config = read_config(str(path), {}, 'none')
    assert config.stage_before == 'configs/warmup/g2ci.py'
    assert 'warmup' not in config
    path.write_text(
        f'warmup = "configs/a.py"\nstage_before = {str(Path("configs/a.py").resolve())!r}'
    )
    assert read_config(str(path), {}, 'none').stage_before == 'configs/a.py'
    path.write_text('warmup = "a.py"\nstage_before = "b.py"')
    with pytest.raises(
        InputError, match=r"stage_before='b.py' and warmup='a.py', which is the old"
    ):
        read_config(str(path), {}, 'none')
    with pytest.raises(InputError, match='warmup and stage_before are the same setting: pass'):
        read_config('configs/demo/mlcl.py', {'stage_before': None, 'warmup': None}, 'none')
