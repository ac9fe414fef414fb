"""The update of the weights, which is left out if anything is not finite."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mlcl_mmseg.models.train_step import AsyncBool, update

YES, NO = torch.tensor(True), torch.tensor(False)


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


@pytest.mark.parametrize('is_finite', [YES, NO])
def test_with_loss_scaling_the_scaler_looks_at_gradients(is_finite):
    """Infinite ones are usual, and lower the scale; other steps are left out all the same."""
    steps = []
    wrapper = SimpleNamespace(loss_scaler=None, optimizer=None, step=lambda: steps.append('step'))
    assert bool(update(wrapper, is_finite)) is bool(is_finite)
    assert steps == ['step'] * bool(is_finite)


def test_a_boolean_of_the_device():
    assert AsyncBool(YES) and not AsyncBool(NO)
    assert AsyncBool(NO).on_device is NO
