"""The parts that a step is cut into are the step; arithmetic is counted as published."""

import argparse
import copy
import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS

from mlcl_mmseg.benchmark.arithmetic import operations_of, operations_of_step
from mlcl_mmseg.benchmark.inputs import random_batch as batch_for
from mlcl_mmseg.benchmark.step_parts import StepParts
from mlcl_mmseg.errors import InputError
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


def arguments(what, config, **options):
    defaults = dict(device='cpu', precision='fp32', iters=1, unprepared=False, cfg_options={})
    return argparse.Namespace(what=what, config=str(config), **{**defaults, **options})


def test_selection_is_measured_on_the_grid_of_a_step(tmp_path):
    args = arguments('select', DEMO / 'mlcl.py')
    measured = tool.measure_select(Config.fromfile(args.config), args, tmp_path)
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
    """Its backbone counts as backbone, its heads as heads."""
    model = build_tiny('MCLSegmentor').double().train()
    model.data_preprocessor = Prepared()
    model.teacher = Teacher(model)
    batch = random_batch()
    for target in batch['targets']:
        del target['soft_pseudo_label']
    for owner, name in (
        (model.teacher.network, 'extract_feat'),
        (model.teacher.network.domain_heads[0], 'logits'),
    ):
        original = getattr(owner, name)
        setattr(owner, name, lambda *each, original=original: time.sleep(0.3) or original(*each))
    optim_wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=0.1)))
    seconds = StepParts('cpu').run(model, batch, optim_wrapper)
    # once for each target, and once
    assert seconds['backbone'] > 0.6
    assert seconds['heads'] > 0.3
    assert min(seconds.values()) > 0


def test_style_is_measured_as_in_a_step(tmp_path, monkeypatch):
    kinds = []
    monkeypatch.setattr(
        ReinhardTransfer, 'forward', lambda *each: kinds.append(torch.is_autocast_cpu_enabled())
    )
    for precision, expected in (('fp32', False), ('bf16', True)):
        args = arguments('style', DEMO / 'mlcl.py', precision=precision)
        tool.measure_style(Config.fromfile(args.config), args, tmp_path).run()
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
        (['style', '--config', 'configs/demo/warmup.py'], 'has no style: give a config of MCL'),
        (['step', '--config', 'configs/demo/mlcl.py', '--iters', '0'], 'count one call or more'),
        (
            ['inference', '--config', 'configs/demo/mlcl.py', '--precision', 'tf32'],
            'precision tf32 needs a GPU',
        ),
        (
            ['pseudo', '--config', 'tests/configs/small_teacher.py'],
            'small_teacher.py stores no pseudo-labels: give a config of MCL with PseudoLabelHook',
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
