"""What is counted of operations on fake GPU tensors."""

from contextlib import contextmanager
from unittest import mock

import pytest
import torch
from torch import nn
from torch.profiler import record_function

from mlcl_mmseg.benchmark.fake_cuda import fake_cuda
from mlcl_mmseg.benchmark.operation_counter import OperationCounter
from mlcl_mmseg.models.train_step import AsyncBool


@contextmanager
def counting():
    """Counts of operations on the device; they can be on fake tensors only."""
    counter = OperationCounter()
    patch = mock.patch.object(torch.autograd, 'backward', counter.backward)
    with fake_cuda(), counter, patch:
        yield counter


def ones(*shape, **options):
    return torch.ones(*shape, device='cuda', **options)


def bytes_of(counter):
    return {each.name: each.bytes for each in counter.operations}


def test_reading_a_value_is_a_wait():
    with counting() as counter:
        assert bool(ones(2).sum() > 1) is True
        assert ones(1).item() == 0
        assert AsyncBool(ones((), dtype=torch.bool))
    assert counter.waits == dict(item=3)


@pytest.mark.parametrize('select', [torch.nonzero, lambda values: values[values > 0]])
def test_what_needs_values_for_its_size_is_refused(select):
    with counting(), pytest.raises(Exception, match='aten.nonzero|aten.index'):
        select(ones(4))


def test_filling_by_a_mask():
    """One value is filled in on the device; for several values, the host waits for their number."""
    with counting() as counter:
        values = ones(4)
        values[values > 0] = 2.0
        assert not counter.waits
        values[values > 0] = ones(4)
    assert counter.waits == dict(index_put_=1)


def test_copies_that_block():
    with counting() as counter:
        values = torch.ones(4).to('cuda', non_blocking=True)
        values.copy_(torch.ones(4), non_blocking=True)
        assert not counter.copies
        values.cpu()
        values.copy_(torch.ones(4))
        torch.ones(4).to('cuda')
        assert counter.copies == dict(_to_copy=2, copy_=1)
        # PyTorch copies the index first
        ones(4)[torch.arange(3)]
    assert counter.copies['index'] == 1


def test_scalars_of_the_host_are_arguments():
    with counting() as counter:
        ones(4) * torch.tensor(2.0)
    assert counter.host_scalars == dict(mul=1)
    assert not counter.copies


def test_tensors_of_two_devices_are_refused():
    with counting(), pytest.raises(Exception, match='cuda:0(,| and) cpu'):
        ones(4) + torch.ones(4)


def test_float64():
    with counting() as counter:
        ones(4).sum(dtype=torch.float64).float()
        torch.ones(4).double()
        ones(4, dtype=torch.float64)
    assert counter.float64 == dict(sum=1, _to_copy=1, ones=1)


def test_bytes():
    """Each tensor is read or written once; views and memory that nobody writes cost nothing."""
    with counting() as counter:
        values = ones(2, 3)
        values.t()
        torch.empty_like(values)
        values + values.new_ones(1).expand(2, 3)
        values.copy_(values.half())
        values.add_(1)
    assert bytes_of(counter) == dict(
        ones=24, t=0, empty_like=0, new_ones=4, expand=0, add=24 + 4 + 24, _to_copy=24 + 12,
        copy_=12 + 24, add_=24 + 24,
    )  # fmt: skip


def test_bytes_of_fused_updates():
    """Gradients are read, weights and momentum are read and written."""
    with counting() as counter:
        weight = nn.Parameter(ones(10))
        optimiser = torch.optim.SGD([weight], lr=0.1, momentum=0.9, fused=True)
        for _ in range(2):
            weight.grad = ones(10)
            optimiser.step()
    assert bytes_of(counter)['_fused_sgd_'] == 40 * (3 + 3)


def test_products():
    with counting() as counter, torch.autocast('cuda', torch.bfloat16):
        nn.functional.conv2d(ones(2, 3, 8, 8), ones(4, 3, 3, 3))
        ones(2, 3).float().sum(dtype=torch.float32)
    (convolution,) = (each for each in counter.operations if each.flops)
    assert convolution.flops == 2 * 2 * 6 * 6 * 4 * 3 * 9
    assert convolution.dtype is torch.bfloat16


def test_backward_operations_belong_to_the_part_of_their_forward_operations():
    with counting() as counter:
        weight = ones(3, 3, requires_grad=True)
        with record_function('losses'):
            with record_function('backbone'):
                features = weight @ weight
            with record_function('heads'), record_function('some other range'):
                result = features.tanh()
            loss = result.exp().sum()
        with record_function('optimiser'):
            loss.backward()
            weight.grad.neg_()
    parts = {}
    for each in counter.operations:
        parts.setdefault(each.part, []).append(each.name)
    assert [name for name in parts['backbone'] if name == 'mm'] == ['mm'] * 3
    assert parts['heads'] == ['tanh', 'tanh_backward']
    assert {'exp', 'sum', 'mul'} <= {*parts['losses']}
    assert parts['optimiser'] == ['ones_like', 'neg_']
