"""States of optimisers and schedules that do not fit a run are named, not loaded."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict, PolyLR
from torch import nn

from mlcl_mmseg.engine.resumed_optimizer import check_optimizers, check_schedulers


@pytest.fixture
def wrapper():
    parameters = [nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2, 2))]
    groups = [dict(params=[each]) for each in parameters]
    wrapper = OptimWrapper(torch.optim.SGD(groups, lr=0.1, momentum=0.9))
    wrapper.update_params(sum(each.sum() for each in parameters))
    return wrapper


def changed(state, change):
    state = copy.deepcopy(state)
    change(state)
    return state


def test_its_own_state_fits(wrapper):
    check_optimizers(wrapper.state_dict(), wrapper)
    check_optimizers(dict(a=wrapper.state_dict()), OptimWrapperDict(a=wrapper))
    fresh = OptimWrapper(torch.optim.Adam([nn.Parameter(torch.ones(3))]))
    check_optimizers(fresh.state_dict(), fresh)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda state: state.pop('state'), 'state: Field required'),
        (lambda state: state['param_groups'].append({}), 'valid list'),
        (lambda state: state['param_groups'].pop(), r'groups of \[1\] parameters, .* of \[1, 1\]'),
        (lambda state: state['param_groups'][0].update(params=[0, 1]), r'groups of \[2, 1\]'),
        (
            lambda state: state['state'][0].update(momentum_buffer=torch.ones(4)),
            r'momentum_buffer of shape \[4\]',
        ),
        (lambda state: state['state'].update({7: dict(x=torch.ones(3))}), r'x of shape \[3\]'),
        (lambda state: state['state'].update(x={}), 'state.x'),
    ],
)
def test_another_state_is_named(wrapper, change, message):
    state = changed(wrapper.state_dict(), change)
    with pytest.raises(ValueError, match=message):
        check_optimizers(state, wrapper)
    with pytest.raises(ValueError, match=message):
        check_optimizers(dict(a=state), OptimWrapperDict(a=wrapper))


@pytest.mark.parametrize('state', [None, 'x', [], {}])
def test_no_state_is_refused(wrapper, state):
    for wrappers in (wrapper, OptimWrapperDict(a=wrapper)):
        with pytest.raises(ValueError, match=r'valid dictionary|Field required'):
            check_optimizers(state, wrappers)


def test_schedules(wrapper):
    schedule = PolyLR(wrapper, end=10, by_epoch=False)
    state = schedule.state_dict()
    check_schedulers([state], [schedule])
    check_schedulers(dict(a=[state]), dict(a=[schedule]))
    check_schedulers(None, None)
    for other, message in (
        (None, 'valid list'),
        ([], 'it has 0 schedules, and the run has 1'),
        ([changed(state, lambda each: each.pop('last_step'))], 'its PolyLR has last_step=None'),
        ([{**state, 'last_step': 'x'}], "its PolyLR has last_step='x'"),
        ([{**state, 'step': 3}], 'its PolyLR has step=3'),
        ([{**state, 'base_values': ['x', 0.1]}], 'its PolyLR has base_values'),
    ):
        with pytest.raises(ValueError, match=message):
            check_schedulers(other, [schedule])
