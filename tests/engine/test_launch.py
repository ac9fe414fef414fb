"""Real, very small stages in one launch."""

import shutil

import pytest
import torch
from mmengine.runner import Runner, ValLoop

from mlcl_mmseg.command_line import load_config
from mlcl_mmseg.engine.stage_files import COMPLETE, read_marker
from mlcl_mmseg.engine.stages import train_stages


def test_without_any_of_our_hooks(toy_config, tmp_path):
    """MMEngine leaves out its own alone where they are None."""
    toy_config('warmup', 2, 1).dump(tmp_path / 'config.py')
    names = ('data_check', 'run_record', 'resume', 'finite_loss', 'buffers', 'visualization')
    options = {f'default_hooks.{name}': None for name in (*names, 'contact_sheet', 'timer')}
    config = load_config(str(tmp_path / 'config.py'), options, None, 'none')
    train_stages([config], resume=False)
    runner = Runner.from_cfg(config)
    kinds = {type(hook).__name__ for hook in runner.hooks}
    assert kinds.isdisjoint({'DataCheckHook', 'RunRecordHook', 'ContactSheetHook', 'IterTimerHook'})
    assert 'DurableCheckpointHook' in kinds


def load(path):
    return torch.load(path, weights_only=False)['state_dict']


def test_one_launch_is_two_launches(toy_config, tmp_path):
    """MCL behind its warm-up ends with the weights of MCL by itself."""

    def stage(name, folder):
        options = {'custom_hooks.0.interval': 1} if name == 'mlcl' else {}
        config = toy_config(name, 2, 1, **options)
        config.work_dir = str(tmp_path / folder / name)
        config.experiment_name += folder
        return config

    train_stages([stage('warmup', 'one'), stage('mlcl', 'one')], resume=False)
    mlcl = stage('mlcl', 'two')
    (mlcl.load_from,) = map(str, (tmp_path / 'one/warmup').glob('best_*.pth'))
    train_stages([mlcl], resume=False)
    one, two = (load(tmp_path / folder / 'mlcl/iter_2.pth') for folder in ('one', 'two'))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_killed_in_the_last_validation(toy_config, tmp_path, monkeypatch):
    """The validation is repeated, and only then is the stage complete."""

    def killed(loop):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ValLoop, 'run', killed)
        with pytest.raises(KeyboardInterrupt):
            train_stages([toy_config('warmup', 2, 2)], resume=False)
    assert not (tmp_path / 'warmup' / COMPLETE).exists()
    shutil.move(tmp_path / 'warmup', tmp_path / 'moved')
    config = toy_config('warmup', 2, 2)
    config.work_dir = str(tmp_path / 'moved')
    config.experiment_name += '_again'
    train_stages([config], resume=True)
    marker = read_marker(config, COMPLETE)
    assert marker.best_checkpoint == 'best_mIoU_iter_2.pth'
    assert (tmp_path / 'moved' / 'best_mIoU_iter_2.pth').is_file()
    assert not (tmp_path / 'warmup').exists()
