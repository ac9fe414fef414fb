"""Time budgets, steps that are timed, and what a GPU does in them."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mlcl_mmseg.benchmark import throughput as module
from mlcl_mmseg.benchmark.clock import Budget, durations
from mlcl_mmseg.benchmark.host_share import covered, device_work
from mlcl_mmseg.benchmark.throughput import throughput
from mlcl_mmseg.benchmark.training import (
    Training,
    batches_of,
    build_segmentor,
    images_per_step,
)
from mlcl_mmseg.command_line import read_config
from mlcl_mmseg.engine.precision import wrapper_configs
from mlcl_mmseg.errors import InputError

from ..conftest import TOOLS

CONFIGS = TOOLS.parent / 'configs'
DEMO = CONFIGS / 'demo'
SMALL = {
    'train_dataloader.batch_size': 1,
    'model.backbone.base_channels': 4,
    'model.backbone.stem_channels': 4,
    'model.decode_head.in_channels': 32,
    'model.decode_head.channels': 32,
}


def small(name, **options) -> Config:
    return read_config(str(DEMO / name), {**SMALL, **options}, 'none')


def test_a_budget_is_never_negative():
    budget = Budget(100)
    assert 99 < budget.left() <= 100
    assert 24 < budget.share(0.25).left() <= 25
    assert Budget(-5).left() == 0


@pytest.mark.parametrize(('budget', 'expected'), [(None, 7), (Budget(1000), 7), (Budget(0), 2)])
def test_timed_calls(budget, expected):
    calls = itertools.count()
    assert durations(lambda: next(calls), 'cpu', 2, 7, budget).shape == (expected,)
    assert next(calls) == expected


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the pretended steps move."""
    clock = SimpleNamespace(now=0.0)
    for name in ('throughput', 'clock'):
        target = f'mlcl_mmseg.benchmark.{name}.time.perf_counter'
        monkeypatch.setattr(target, lambda: clock.now)
    return clock


def pretended_training(clock, seconds, skipped=()):
    """Each step takes some seconds, of which the last one given is repeated."""
    training = SimpleNamespace(applied=[], batches=[])

    def step(batch):
        clock.now += seconds[min(len(training.applied), len(seconds) - 1)]
        training.applied.append(len(training.applied) not in skipped)
        training.batches.append(batch)

    training.step = step
    return training


def pretended_batches(*names):
    image = torch.zeros(2, 3, 1, 1)
    return itertools.cycle(
        dict(name=name, source=dict(img=image), targets=[dict(img=image)] * 2) for name in names
    )


def test_warm_up_is_not_timed(clock):
    # the first is slow, the second decides the length of a chunk
    training = pretended_training(clock, [60.0, 0.25, 0.5], skipped=(0, 3, 4))
    found = throughput(training, pretended_batches('a', 'b'), 'cpu', Budget(1000))
    assert found['seconds_per_step'] == found['host_seconds_per_step'] == 0.5
    # of 3 domains with 2 images each
    assert found['images_per_second'] == 6 / 0.5
    assert found['steps'] == 4 * module.MOST
    assert found['skipped_steps'] == 2
    assert [each['name'] for each in training.batches[:4]] == ['a', 'b', 'a', 'b']
    assert 'reserved_gib' not in found


@pytest.mark.parametrize(('budget', 'chunks'), [(0, 1), (100, module.FEWEST)])
def test_few_chunks_of_slow_steps(clock, monkeypatch, budget, chunks):
    """One if three would not fit into the budget."""
    monkeypatch.setattr(module, 'MOST', module.FEWEST)
    training = pretended_training(clock, [20.0])
    found = throughput(training, pretended_batches('a'), 'cpu', Budget(budget))
    assert found['steps'] == chunks


def test_nothing_waits_within_a_chunk(clock, monkeypatch):
    """On a GPU: only before and after each chunk, in which steps are queued."""
    events = []
    training = pretended_training(clock, [0.1])
    step = training.step
    training.step = lambda batch: events.append('step') or step(batch)
    monkeypatch.setattr(torch.cuda, 'synchronize', lambda: events.append('wait'))
    for name in ('reset_peak_memory_stats', 'max_memory_allocated', 'max_memory_reserved'):
        monkeypatch.setattr(torch.cuda, name, lambda: 3 * 2**30)
    monkeypatch.setattr(module, 'MOST', module.FEWEST)
    found = throughput(training, pretended_batches('a'), 'cuda', Budget(1000))
    chunk = ['wait', *['step'] * 10, 'wait']
    single = ['wait', 'step', 'wait']
    assert events == [*['step'] * module.WARM_UP['cuda'], *single, *chunk * module.FEWEST]
    assert (found['allocated_gib'], found['reserved_gib']) == (3, 3)


def test_trainings_of_a_config_start_equal_and_train():
    config = small('mlcl.py')
    weights = []
    for precision in ('fp32', 'bf16'):
        training = Training(config, build_segmentor(config, 'cpu'), precision)
        weights.append(training.segmentor.state_dict())
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name
    before = training.segmentor.decode_head.conv_seg.weight.clone()
    training.step(next(batches_of(config, 'cpu')))
    assert not torch.equal(before, training.segmentor.decode_head.conv_seg.weight)
    assert [bool(each) for each in training.applied] == [True]
    # the config still has its own precision
    assert config.optim_wrapper.precision == 'tf32'


def test_parts_with_an_optimiser_of_their_own_are_trained():
    config = small('warmup.py')
    training = Training(config, build_segmentor(config, 'cpu'), 'fp32')
    before = [value.clone() for value in training.segmentor.discriminators.parameters()]
    figures = training.step(next(batches_of(config, 'cpu')))
    changed = [*map(torch.ne, before, training.segmentor.discriminators.parameters())]
    assert all(bool(each.any()) for each in changed)
    assert any('loss_discriminator' in name for name in figures)
    assert len(wrapper_configs(config.optim_wrapper)) == 2


def test_batches_come_in_turn_and_differ(monkeypatch):
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda tensor: tensor + 0)
    config = small('mlcl.py')
    for device in ('cpu', 'cuda'):
        first, *others = itertools.islice(batches_of(config, device, size=2, number=2), 3)
        images = [each['targets'][1]['strong_img'] for each in (first, *others)]
        assert images[0].shape[0] == 2
        assert not torch.equal(images[0], images[1])
        assert torch.equal(images[0], images[2])
    assert images_per_step(first) == 2 * 4


def event(name, start, end, device='CUDA'):
    return SimpleNamespace(
        name=name,
        time_range=SimpleNamespace(start=start, end=end),
        device_type=SimpleNamespace(name=device),
    )


def test_what_the_gpu_does():
    """Kernels may overlap; ranges of the host that are repeated on the device are none."""
    events = [
        event('backbone', 0, 900, 'CPU'),
        event('cudaLaunchKernel', 1, 2, 'CPU'),
        event('cudaEventSynchronize', 3, 4, 'CPU'),
        event('cudaDeviceSynchronize', 800, 900, 'CPU'),
        event('backbone', 0, 1000),
        event('Activity Buffer Request', 0, 1000),
        event('sgemm', 10, 30),
        event('Memcpy HtoD', 20, 40),
        event('sgemm', 100, 150),
        event('relu', 110, 120),
    ]
    assert device_work(events) == dict(kernels=4, device_seconds=pytest.approx(80e-6), waits=2)


def test_a_profile_without_kernels():
    with pytest.raises(InputError, match='has profiled no kernel of the GPU: allow'):
        device_work([event('backbone', 0, 9, 'CPU'), event('backbone', 0, 9)])


def test_covered_time_by_counting():
    rng = np.random.default_rng(0)
    ranges = [tuple(sorted(each)) for each in rng.integers(0, 60, (12, 2))]
    marked = np.zeros(60, bool)
    for start, end in ranges:
        marked[start:end] = True
    assert covered(ranges) == marked.sum()
