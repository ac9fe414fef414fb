"""The update of the weights, which is left out if anything is not finite."""

import copy

import pytest
import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import nn

from mlcl_mmseg.models.train_step import AsyncBool, copied, restore_unless, update

from ..fp16 import allow_on_cpu

YES, NO = torch.tensor(True), torch.tensor(False)
MOMENTUM = dict(momentum=0.9)


def wrapper_of(gradient, **settings):
    """An optimiser whose state is that of one step, and its parameter with a new gradient."""
    parameter = nn.Parameter(torch.ones(3))
    wrapper = OptimWrapper(torch.optim.Adam([parameter], lr=0.1, **settings))
    parameter.grad = torch.ones(3)
    wrapper.step()
    parameter.grad = torch.tensor([1.0, gradient, 1.0])
    return wrapper, parameter


@pytest.mark.parametrize('fused', [True, False])
@pytest.mark.parametrize(
    ('gradient', 'is_finite', 'is_updated'),
    [(2.0, YES, True), (2.0, NO, False), (torch.nan, YES, False), (torch.inf, YES, False)],
)
def test_weights_and_states_change_only_if_all_is_finite(gradient, is_finite, is_updated, fused):
    wrapper, parameter = wrapper_of(gradient, fused=fused)
    state = wrapper.optimizer.state[parameter]
    before = [parameter.clone(), *(each.clone() for each in state.values())]
    assert bool(update(wrapper, is_finite)) is is_updated
    for old, new in zip(before, [parameter, *state.values()]):
        assert torch.equal(old, new) is not is_updated
    assert not hasattr(wrapper.optimizer, 'found_inf')


@pytest.mark.parametrize('loss_scale', ['dynamic', 512.0])
@pytest.mark.parametrize('fused', [True, False])
@pytest.mark.parametrize('optimizer', [torch.optim.SGD, torch.optim.Adam])
@pytest.mark.parametrize('clip_grad', [None, dict(max_norm=0.5)])
def test_with_loss_scaling(monkeypatch, optimizer, fused, loss_scale, clip_grad):
    """Every step is as without, the first one as well; those left out lower a dynamic scale."""
    allow_on_cpu(monkeypatch)
    parameters = [nn.Parameter(torch.ones(3)) for _ in range(2)]
    settings = dict(lr=0.1, fused=fused, **({} if optimizer is torch.optim.Adam else MOMENTUM))
    plain, scaled = (optimizer([each], **settings) for each in parameters)
    plain = OptimWrapper(plain, clip_grad=clip_grad)
    scaled = AmpOptimWrapper(loss_scale, optimizer=scaled, clip_grad=clip_grad)
    scale = 65536.0 if loss_scale == 'dynamic' else loss_scale
    factor = torch.tensor([1.0, 2.0, 3.0])
    for infinity, is_finite in [(1e35, YES), (0, YES), (1e35, YES), (0, NO), (0, YES)]:
        before = parameters[1].detach().clone()
        scaled.backward((parameters[1] * factor).sum() + infinity * parameters[1].square().sum())
        is_kept = is_finite and not infinity
        assert bool(update(scaled, is_finite)) is bool(is_kept)
        if is_kept:
            plain.backward((parameters[0] * factor).sum())
            plain.step()
        assert torch.equal(parameters[1], before) is not bool(is_kept)
        if infinity and loss_scale == 'dynamic':
            scale /= 2
        assert scaled.loss_scaler.get_scale() == scale
        for wrapper in (plain, scaled):
            wrapper.zero_grad()
    torch.testing.assert_close(*parameters)


def test_a_boolean_of_the_device():
    assert AsyncBool(YES) and not AsyncBool(NO)
    assert AsyncBool(NO).on_device is NO


@pytest.mark.parametrize('is_kept', [YES, NO])
def test_buffers_are_restored_unless_a_step_is_kept(is_kept):
    """Of any shape and type, a single one of its type as well, from values that are no numbers."""
    shapes = dict(mean=(3,), channels=(3, 1, 1), mean_after=(5,))
    buffers = {name: torch.rand(shape) for name, shape in shapes.items()}
    buffers.update(count=torch.tensor(4), exact=torch.rand(2, dtype=torch.float64))
    before = {name: each.clone() for name, each in buffers.items()}
    copies = copied(buffers.values())
    for each in buffers.values():
        each.mul_(2).sub_(1)
    buffers['mean'].fill_(torch.nan)
    buffers['channels'][0] = torch.inf
    after = {name: each.clone() for name, each in buffers.items()}
    restore_unless(is_kept, copies)
    for name, each in buffers.items():
        expected = after[name] if is_kept else before[name]
        torch.testing.assert_close(each, expected, rtol=0, atol=0, equal_nan=True)


def test_a_segmentor_can_be_copied_after_a_step_on_a_gpu():
    """As a teacher does, though an event of CUDA cannot be copied."""
    model, finite = nn.Linear(1, 1), AsyncBool(YES)
    finite.copied = torch.cuda.Event()
    model.step_is_finite = finite
    assert copy.deepcopy(model).step_is_finite is finite
