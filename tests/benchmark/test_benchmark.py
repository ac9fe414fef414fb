"""The parts that a step is cut into are the step; arithmetic is counted as published."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS

from mlcl_mmseg.benchmark.arithmetic import operations_of, operations_of_step
from mlcl_mmseg.benchmark.step_parts import StepParts

from ..models.conftest import build_tiny, random_batch  # noqa: F401

ROOT = Path(__file__).parents[2]
PARTS = {'data', 'backbone', 'heads', 'losses', 'optimiser'}


class Prepared(torch.nn.Module):
    """In place of a data_preprocessor, for batches that are prepared already."""

    def forward(self, data, training):
        return dict(inputs=copy.copy(data))


@pytest.mark.parametrize(
    ('kind', 'options'),
    [
        ('MCLSegmentor', {}),
        ('MCLSegmentor', dict(backward='per_target')),
        ('AdversarialWarmup', {}),
        ('SourceOnly', {}),
    ],
)
def test_a_step_in_parts_is_the_step(build_tiny, random_batch, kind, options):  # noqa: F811
    batch = random_batch(0 if kind == 'SourceOnly' else 2)
    weights = []
    for in_parts in (False, True):
        model = build_tiny(kind, **options).double().train()
        model.data_preprocessor = Prepared()
        config = dict(optimizer=dict(type='SGD', lr=0.1))
        optim_wrapper = build_optim_wrapper(
            model, dict(config, constructor='MultiTargetOptimWrapperConstructor')
        )
        if in_parts:
            seconds = StepParts('cpu').run(model, batch, optim_wrapper)
            assert set(seconds) == PARTS | ({'style'} if kind == 'MCLSegmentor' else set())
            assert min(seconds.values()) > 0
        else:
            losses = model.loss(batch)
            optim_wrapper.update_params(model.parse_losses(losses)[0])
        weights.append(model.state_dict())
    for (name, whole), parts in zip(weights[0].items(), weights[1].values()):
        torch.testing.assert_close(parts, whole, rtol=1e-9, atol=1e-12, msg=name)


def test_parts_of_a_step_hold_one_turn_at_a_time(build_tiny, random_batch):  # noqa: F811
    """Where a step in turns fits into memory, so does the same step in parts."""
    model = build_tiny('MCLSegmentor', backward='per_target').double().train()
    model.data_preprocessor = Prepared()
    optim_wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=0.1)))
    parts, turns = StepParts('cpu'), []
    loss = model.loss
    model.loss = lambda inputs: turns.append((inputs.get('turn'), len(parts.calls))) or loss(inputs)
    parts.run(model, random_batch(), optim_wrapper)
    # nothing is left of the turns before
    assert turns == [('the source', 0), ('t0', 0), ('t1', 0)]


def test_arithmetic_of_the_published_model():
    """Counted by hand for the head: 37 taps of the branches, the bottleneck, the classifier."""
    model = MODELS.build(
        dict(
            type='MCLSegmentor',
            targets=['a', 'b'],
            backbone=dict(type='DeepLabV2ResNet', depth=101),
            decode_head=dict(type='DeepLabV2Head', in_channels=2048, num_classes=7),
        )
    )
    found = operations_of(model, (160, 320))
    places = 21 * 41
    behind = places * (9 * 1280 * 256 + 256 * 7) + 2 * 1280 * 80
    assert found['head'] == 2 * (places * 37 * 2048 * 256 + behind)
    assert found['ensemble'] == 2 * (places * 37 * 4096 * 256 + behind)
    step = 7 * found['backbone'] + 9 * found['head'] + 3 * found['ensemble']
    assert operations_of_step(model, (160, 320)) == 3 * step


@pytest.mark.slow
@pytest.mark.parametrize(
    'what', ['select', 'step', pytest.param('loader', marks=pytest.mark.thorough)]
)
def test_the_tool(what):
    command = [sys.executable, ROOT / 'tools/analysis_tools/benchmark.py', what]
    command += ['--config', ROOT / 'configs/demo/mlcl.py', '--iters', '2']
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *_, last = done.stdout.splitlines()
    figures = json.loads(last)
    assert (figures['what'], figures['device'], figures['precision']) == (what, 'cpu', 'fp32')
    assert 0 < figures['ms_median'] <= figures['ms_p90']
    assert figures['images_per_second'] > 0
    assert figures['peak_memory_mb'] > 0
    if what == 'step':
        assert sum(figures['shares'].values()) == pytest.approx(1, abs=0.01)
        assert figures['tflop_per_second'] > 0


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['style', '--config', 'configs/demo/warmup.py'], 'has no style: give a config of MCL'),
        (['step', '--config', 'configs/demo/mlcl.py', '--iters', '0'], 'count one call or more'),
    ],
)
def test_what_cannot_be_measured(arguments, message):
    command = [sys.executable, ROOT / 'tools/analysis_tools/benchmark.py', *arguments]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert message in done.stderr
