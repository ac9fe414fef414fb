"""What the benchmark counts and how it divides a step."""

import argparse
import copy
import importlib.util
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS
from torch.profiler import ProfilerActivity, profile

from mlcl_mmseg.benchmark.arithmetic import operations_of_step
from mlcl_mmseg.benchmark.inputs import random_batch as batch_for
from mlcl_mmseg.benchmark.step_parts import seconds_of, step_parts
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.methods.base import DomainSegmentor
from mlcl_mmseg.models.style.reinhard import ReinhardTransfer
from mlcl_mmseg.pseudo_labels.teacher import Teacher

from ..models.conftest import build_tiny, random_batch  # noqa: F401

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools/analysis_tools/benchmark.py'
SPECIFICATION = importlib.util.spec_from_file_location('benchmark_tool', TOOL)
tool = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(tool)
DEMO = ROOT / 'configs/demo'
TEACHER = ROOT / 'tests/configs/small_teacher.py'
PARTS = {'data', 'backbone', 'heads', 'losses', 'optimiser'}


def event(name, start, end, number=-1, thread=1):
    return SimpleNamespace(
        name=name,
        time_range=SimpleNamespace(start=start, end=end),
        sequence_nr=number,
        thread=thread,
        device_type=SimpleNamespace(name='CPU'),
        cpu_time_total=end - start,
        device_time_total=10 * (end - start),
    )


def test_a_profile_is_added_up_by_parts():
    """Ranges count without those inside; a backward operation goes to the range of its forward."""
    events = [
        event('data', 0, 5),
        event('losses', 10, 100),
        event('heads', 20, 60),
        event('backbone', 30, 50),
        # records no gradient: it bears the number of the next one that does, in another range
        event('aten::detach', 22, 23, 7),
        event('aten::conv2d', 32, 40, 7),
        event('aten::matmul', 52, 55, 8),
        event('aten::sum', 90, 95, 9),
        event('optimiser', 200, 203),
        event('autograd::engine::evaluate_function: SumBackward0', 110, 111, 9, thread=2),
        event('autograd::engine::evaluate_function: MmBackward0', 111, 121, 8, thread=2),
        event('autograd::engine::evaluate_function: ConvolutionBackward0', 121, 171, 7, thread=2),
    ]
    expected = dict(data=5, backbone=20 + 50, heads=20 + 10, losses=50 + 1, optimiser=3)
    assert seconds_of(events, 'cpu') == pytest.approx({k: v / 1e6 for k, v in expected.items()})
    assert seconds_of(events, 'cuda') == pytest.approx({k: v / 1e5 for k, v in expected.items()})


class Prepared(torch.nn.Module):
    """In place of a data_preprocessor, for batches that are prepared already."""

    def forward(self, data, training):
        return dict(inputs=copy.copy(data))


@pytest.mark.parametrize(
    ('kind', 'options'),
    [
        ('MCLSegmentor', {}),
        ('MCLSegmentor', dict(backward='per_target')),
        ('SourceOnly', {}),
    ],
)
def test_every_part_of_a_step_has_a_name(build_tiny, random_batch, kind, options):  # noqa: F811
    model = build_tiny(kind, **options).double().train()
    model.data_preprocessor = Prepared()
    optim_wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=0.1)))
    batch = random_batch(0 if kind == 'SourceOnly' else 2)
    before = model.decode_head.conv_seg.weight.clone()
    found = step_parts(lambda: model.train_step(batch, optim_wrapper), 'cpu')
    assert set(found) == PARTS | ({'style'} if kind == 'MCLSegmentor' else set())
    # it is a real step
    assert not torch.equal(model.decode_head.conv_seg.weight, before)


def test_arithmetic_is_counted_by_hand(build_tiny, random_batch):  # noqa: F811
    """Forward, and twice that backward but for the first layer, whose inputs are images."""
    model = build_tiny('SourceOnly').double()
    model.decode_head.window_share = 0
    model.data_preprocessor = Prepared()
    batch, places = 2, 4 * 6
    backbone = places * 32 * 3 * 4 * 4
    branches = places * 32 * 32 * (1 + 9 + 9)
    behind = places * (9 * 96 * 32 + 32 * 3) + 2 * 96 * 6
    assert operations_of_step(model, random_batch(0, batch=batch)) == (
        2 * batch * (2 * backbone + 3 * (branches + behind))
    )


@MODELS.register_module()
class TwicePerStep(DomainSegmentor):
    """A method that nothing of this project knows: two passes of the source in a step."""

    def loss(self, inputs, data_samples=None):
        logits = [self.decode_head(self.extract_feat(inputs['source']['img'])) for _ in range(2)]
        return dict(loss=sum(each.square().mean() for each in logits))


def test_arithmetic_of_an_unknown_method(build_tiny, random_batch):  # noqa: F811
    counts = {}
    for kind in ('SourceOnly', 'TwicePerStep'):
        model = build_tiny(kind).double()
        model.data_preprocessor = Prepared()
        counts[kind] = operations_of_step(model, random_batch(0))
    assert counts['TwicePerStep'] == 2 * counts['SourceOnly']


def arguments(what, config, **options):
    defaults = dict(device='cpu', precision='fp32', iters=1, unprepared=False, cfg_options={})
    return argparse.Namespace(what=what, config=str(config), **{**defaults, **options})


def test_selection_is_measured_on_the_grid_of_a_step(tmp_path):
    args = arguments('select', DEMO / 'mlcl.py')
    measured = tool.operation_of(Config.fromfile(args.config), args, tmp_path)
    # a quarter of 128x64
    assert measured.run().shape == (measured.images, 16, 32)


@pytest.mark.parametrize(
    ('config', 'keys'),
    [
        (
            DEMO / 'mlcl.py',
            {'img', 'strong_img', 'soft_pseudo_label', 'strong_affine', 'strong_cutout'},
        ),
        (TEACHER, {'img', 'strong_img', 'strong_affine', 'strong_cutout'}),
        (DEMO / 'warmup.py', {'img'}),
    ],
)
def test_a_batch_has_what_the_pipeline_gives(config, keys):
    batch = batch_for(Config.fromfile(config), (64, 128))
    assert [set(target) for target in batch['targets']] == [keys] * len(batch['targets'])


def test_a_teacher_is_part_of_the_step(tmp_path, monkeypatch):
    asked, label = [], Teacher.__call__
    monkeypatch.setattr(Teacher, '__call__', lambda *each: asked.append(each[2]) or label(*each))
    args = arguments('step', TEACHER)
    config = Config.fromfile(args.config)
    tool.measure_step(config, args, tmp_path).run()
    assert asked == [*range(len(config.model.targets))]


def test_a_teacher_is_part_of_the_parts(build_tiny, random_batch):  # noqa: F811
    """Its backbone counts as backbone, its heads as heads: once more for each target."""

    def ranges(with_teacher):
        model = build_tiny('MCLSegmentor').double().train()
        batch = random_batch()
        if with_teacher:
            model.teacher = Teacher(model)
            for target in batch['targets']:
                del target['soft_pseudo_label']
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            model.loss(batch)
        return Counter(event.name for event in profiler.events())

    without, found = ranges(False), ranges(True)
    for name in ('backbone', 'heads'):
        assert found[name] == without[name] + 2 > 2


def test_style_is_measured_as_in_a_step(tmp_path, monkeypatch):
    kinds = []
    monkeypatch.setattr(
        ReinhardTransfer,
        'pairs',
        lambda _, pairs: (
            kinds.append(torch.is_autocast_cpu_enabled()) or [content for content, _ in pairs]
        ),
    )
    for precision, expected in (('fp32', False), ('bf16', True)):
        args = arguments('style', DEMO / 'mlcl.py', precision=precision)
        tool.operation_of(Config.fromfile(args.config), args, tmp_path).run()
        assert kinds.pop() is expected


def test_a_loader_has_no_device_and_no_precision(tmp_path, monkeypatch):
    monkeypatch.setitem(tool.MEASURES, 'loader', lambda *each: tool.Measured(lambda: None, 1))
    figures = tool.measure(arguments('loader', DEMO / 'mlcl.py', precision='bf16'), tmp_path)
    assert (figures['device'], figures['precision']) == ('cpu', 'fp32')


@pytest.mark.slow
@pytest.mark.parametrize(
    'what', ['select', 'step', pytest.param('loader', marks=pytest.mark.thorough)]
)
def test_the_tool(what):
    command = [sys.executable, TOOL, what]
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
        (
            ['style', '--config', 'configs/demo/warmup.py'],
            r'has no operation style \(AdversarialWarmup has none\)',
        ),
        (['step', '--config', 'configs/demo/mlcl.py', '--iters', '0'], 'use a number from 1'),
        (
            ['inference', '--config', 'configs/demo/mlcl.py', '--precision', 'tf32'],
            'precision tf32 needs a GPU',
        ),
        (
            ['pseudo', '--config', 'tests/configs/small_teacher.py'],
            'small_teacher.py stores no pseudo-labels: choose a config with PseudoLabelHook',
        ),
        (
            [
                *('step', '--config', 'configs/demo/mlcl.py'),
                *('--cfg-options', 'train_dataloader.dataset.source_pipeline=[]'),
            ],
            'source_pipeline has no Resize',
        ),
    ],
)
def test_what_cannot_be_measured(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, 'argv', ['benchmark.py', *arguments])
    with pytest.raises(InputError, match=message):
        tool.measure(tool.parse_args(), tmp_path)
