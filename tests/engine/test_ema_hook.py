"""MMEngine's EMAHook in every stage: trained, kept as the best, resumed exactly, tested."""

import shutil
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from ..same import assert_same
from .recorded_run import run

EMA = dict(type='EMAHook', momentum=0.5)
STAGES = ('source_only', 'warmup', 'mlcl')


def averaged_config(toy_config, stage, warmup_checkpoint):
    options = {}
    if stage == 'mlcl':
        options = {'custom_hooks.0.interval': 2, 'load_from': warmup_checkpoint}
    config = toy_config(stage, 4, 2, **options)
    config.custom_hooks = [*config.get('custom_hooks', []), EMA]
    return config


def load(folder, name):
    (path,) = Path(folder).glob(name)
    return torch.load(path, weights_only=False)


@pytest.mark.parametrize('stage', STAGES)
def test_a_stage_with_averaged_weights(
    stage, toy_config, warmup_checkpoint, falling_scores, tmp_path, monkeypatch
):
    config = averaged_config(toy_config, stage, warmup_checkpoint)
    _, recorder = run(config)
    first = load(config.work_dir, 'iter_2.pth')

    # by hand: the first step's weights, then half of each step's
    head = 'domain_heads.0' if stage == 'warmup' else 'decode_head'
    name = f'{head}.conv_seg.weight'
    # what EMAHook calls its state is the network itself, as deployed checkpoints hold the average
    raw = first['ema_state_dict'][f'module.{name}']
    torch.testing.assert_close(first['state_dict'][name], recorder.weights[1][name].lerp(raw, 0.5))

    # the best checkpoint is deployed: the average, without what only a resumed run needs
    best = load(config.work_dir, 'best_mIoU_iter_2.pth')
    assert not any('discriminators' in key for key in best['state_dict'])
    for key, value in best['state_dict'].items():
        assert torch.equal(value, first['state_dict'][key]), key
    tested = averaged_config(toy_config, stage, warmup_checkpoint)
    tested.load_from, tested.resume = str(Path(config.work_dir, 'best_mIoU_iter_2.pth')), False
    tested.work_dir = str(tmp_path / 'tested')
    monkeypatch.undo()
    assert 0 <= Runner.from_cfg(tested).test()['mIoU'] <= 100


@pytest.mark.parametrize('stage', STAGES)
def test_a_resumed_run_ends_as_if_uninterrupted(stage, toy_config, warmup_checkpoint, tmp_path):
    config = averaged_config(toy_config, stage, warmup_checkpoint)
    run(config)
    expected = load(config.work_dir, 'iter_4.pth')
    again = averaged_config(toy_config, stage, warmup_checkpoint)
    again.work_dir = shutil.copytree(config.work_dir, tmp_path / 'again')
    for path in Path(again.work_dir).glob('*iter_4.pth'):
        path.unlink()
    again.load_from, again.resume = str(Path(again.work_dir, 'iter_2.pth')), True
    run(again)
    found = load(again.work_dir, 'iter_4.pth')
    for key in ('state_dict', 'ema_state_dict', 'optimizer'):
        assert_same(found[key], expected[key])
