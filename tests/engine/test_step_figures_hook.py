"""Nothing of a step is read from the device until its figures are logged."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils._python_dispatch import TorchDispatchMode

from mlcl_mmseg.engine.optim_wrapper_constructor import has_fused_form

READS = ('aten::_local_scalar_dense', 'aten::is_nonzero')


class Reads(TorchDispatchMode, Hook):
    """Counts how often the host reads a value, by step."""

    priority = 'LOWEST'

    def __init__(self):
        super().__init__()
        self.count, self.steps = Counter(), []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.name() in READS:
            self.count['reads'] += 1
        return func(*args, **(kwargs or {}))

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.count.clear()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.steps.append(self.count['reads'])


def run(config):
    runner, reads = Runner.from_cfg(config), Reads()
    runner.register_hook(reads)
    with reads:
        runner.train()
    (log,) = Path(runner.work_dir).glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return reads.steps, [line for line in lines if 'loss' in line]


def without_times(lines):
    return [{name: value for name, value in line.items() if 'time' not in name} for line in lines]


@pytest.mark.parametrize(
    'stage',
    [
        pytest.param(
            'warmup',
            marks=pytest.mark.skipif(
                not has_fused_form(torch.optim.Adam, 'cpu'),
                reason='Adam that is not fused reads how many steps it has taken',
            ),
        ),
        'source_only',
    ],
)
def test_a_step_is_read_after_the_next_and_its_figures_when_they_are_logged(stage, toy_config):
    options = {'default_hooks.logger.interval': 3}
    steps, logged = run(toy_config(stage, 6, 6, **options))
    # whether the step before was made, which is known by then
    assert steps[1] == steps[3] == 1

    config = toy_config(stage, 6, 6, **options)
    config.default_hooks.runtime_info = dict(type='RuntimeInfoHook')
    config.work_dir += '_as_in_mmengine'
    config.experiment_name += '_as_in_mmengine'
    as_in_mmengine, expected = run(config)
    assert as_in_mmengine[1] > 1
    assert len(logged) == 2
    assert without_times(logged) == without_times(expected)
