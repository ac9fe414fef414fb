"""The search of the largest batch, with a limit in place of a GPU's memory."""

import pytest
import torch

from mlcl_mmseg.benchmark.clock import Budget
from mlcl_mmseg.benchmark.largest_batch import (
    Found,
    StepFits,
    is_out_of_memory,
    largest_batches,
    largest_that_fits,
    with_less_memory,
)
from mlcl_mmseg.benchmark.training import Training

from .test_measuring import small

# of small images
TOGETHER = {'model.backward': 'together'}
CROP = {**TOGETHER, 'train_dataloader.dataset.source_pipeline.4.crop_size': (32, 16)}


def search(limit, start, budget=None, most=256):
    tried = []

    def fits(size):
        tried.append(size)
        return size <= limit

    return largest_that_fits(fits, start, budget or Budget(1000), most), tried


@pytest.mark.parametrize(
    ('limit', 'start', 'expected', 'tried'),
    [
        (90, 4, Found(88, 96), [4, 8, 16, 32, 64, 128, 96, 80, 88]),
        (5, 4, Found(5, 6), [4, 8, 6, 5]),
        (4, 4, Found(4, 5), [4, 8, 6, 5]),
        (1, 4, Found(1, 2), [4, 2, 1]),
        (0, 4, Found(0, 1), [4, 2, 1]),
        (0, 1, Found(0, 1), [1]),
        (1000, 100, Found(256, None), [100, 200, 256]),
        (1000, 500, Found(256, None), [256]),
    ],
)
def test_doubling_and_halving(limit, start, expected, tried):
    assert search(limit, start) == (expected, tried)


@pytest.mark.parametrize('limit', [3, 7, 8, 9, 31, 100, 255])
def test_what_is_found_fits_and_is_within_an_eighth(limit):
    (largest, too_large), tried = search(limit, 4)
    assert largest <= limit < too_large
    assert too_large - largest <= max(1, largest // 8)
    assert {largest, too_large} <= {*tried}


@pytest.mark.parametrize('limit', [0, 64])
def test_without_time_only_the_first_size_is_tried(limit):
    found, tried = search(limit, 4, Budget(0))
    assert tried == [4]
    assert found == (Found(4, None) if limit else Found(0, 4))


@pytest.fixture
def limited(monkeypatch):
    """A memory for batches of two images, and for three if a target has its own backward pass."""
    step = Training.step

    def limited(training, batch):
        if len(batch['source']['img']) > (2 if len(training.segmentor.turns) == 1 else 3):
            step(training, batch)
            raise torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.')
        return step(training, batch)

    monkeypatch.setattr(Training, 'step', limited)


def test_steps_that_do_not_fit_leave_nothing(limited):
    fits = StepFits(small('mlcl.py', **CROP), 'cpu', 'fp32')
    assert [fits(size) for size in (1, 3, 2)] == [True, False, True]
    assert fits.training.applied == []
    assert all(each.grad is None for each in fits.training.segmentor.parameters())


def test_each_option_is_searched(limited):
    found = largest_batches(small('mlcl.py', **CROP), 'cpu', 'fp32', Budget(1000))
    per_target = 'model.backward=per_target'
    assert found == [
        dict(options='', largest=2, too_large=3),
        dict(options=per_target, largest=3, too_large=4),
        dict(options=f'{per_target} model.recompute_activations=True', largest=3, too_large=4),
    ]


def test_options_that_a_model_has():
    def options(config):
        return [each for each, _ in with_less_memory(config)]

    both = ['', 'model.backward=per_target']
    assert options(small('mlcl.py'))[:2] == both
    assert options(small('source_only.py')) == ['', 'model.recompute_activations=True']
    # what is set already
    per_target = small('mlcl.py', **{'model.backward': 'per_target'})
    assert options(per_target) == ['', 'model.recompute_activations=True']
    # nothing is to be recomputed in a compiled backbone
    compiled = small('mlcl.py')
    compiled.model.compile_backbone = dict(mode='default')
    assert options(compiled) == both
    (_, config), *others = with_less_memory(small('mlcl.py', **TOGETHER))
    assert config.model.backward == 'together'
    assert [each.model.backward for _, each in others] == ['per_target'] * 2


def test_other_errors_are_not_swallowed(monkeypatch):
    def fail(training, batch):
        raise RuntimeError('CUDA error: an illegal memory access was encountered')

    fits = StepFits(small('mlcl.py', **CROP), 'cpu', 'fp32')
    monkeypatch.setattr(Training, 'step', fail)
    with pytest.raises(RuntimeError, match='illegal memory access'):
        fits(1)


@pytest.mark.parametrize(
    ('error', 'expected'),
    [
        (torch.cuda.OutOfMemoryError('Tried to allocate'), True),
        (RuntimeError('CUDA error: out of memory'), True),
        (RuntimeError('CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)'), True),
        (RuntimeError('cuDNN error: CUDNN_STATUS_NOT_SUPPORTED'), False),
    ],
)
def test_what_memory_errors_are(error, expected):
    assert is_out_of_memory(error) is expected
