"""States of optimisers and schedules that do not fit a run are named, not loaded."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict, PolyLR
from mmengine.registry import PARAM_SCHEDULERS
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
            r'momentum_buffer that is not of shape \[3\]',
        ),
        (
            lambda state: state['state'].update({7: dict(x=torch.ones(3))}),
            'a state for a parameter 7',
        ),
        (lambda state: state['state'].update(x={}), 'state.x'),
        (lambda state: state['state'][0].update(momentum_buffer='x'), 'momentum_buffer that is'),
        (lambda state: state['state'][0].update(step='x'), "step='x'"),
        (lambda state: state['param_groups'][0].update(lr='x'), "lr='x'"),
    ],
)
def test_another_state_is_named(wrapper, change, message):
    state = changed(wrapper.state_dict(), change)
    with pytest.raises(ValueError, match=message):
        check_optimizers(state, wrapper)
    with pytest.raises(ValueError, match=message):
        check_optimizers(dict(a=state), OptimWrapperDict(a=wrapper))


OPTIMISERS = {
    'SGD': dict(momentum=0.9),
    'Adam': dict(amsgrad=True),
    'AdamW': dict(fused=True),
    'Adagrad': {},
    'Adadelta': {},
    'RMSprop': dict(centered=True, momentum=0.9),
    'Rprop': {},
    'NAdam': {},
    'RAdam': {},
    'Adamax': {},
    'ASGD': {},
    'Adafactor': {},
}
SCHEDULES = {
    'ConstantLR': {},
    'CosineAnnealingLR': dict(T_max=10),
    'CosineRestartLR': dict(periods=[2, 9], restart_weights=[1, 1], eta_min=0),
    'ExponentialLR': dict(gamma=0.9),
    'LinearLR': dict(end=4),
    'MultiStepLR': dict(milestones=[1, 3]),
    'PolyLR': dict(end=10),
    'StepLR': dict(step_size=2),
}


def trained(optimiser, schedule, steps):
    """An optimiser and a schedule after some steps."""
    torch.manual_seed(0)
    parameters = [nn.Parameter(torch.rand(4, 3)), nn.Parameter(torch.rand(2, 3, 3, 3))]
    settings = dict(OPTIMISERS[optimiser], lr=0.01)
    wrapper = OptimWrapper(getattr(torch.optim, optimiser)(parameters, **settings))
    scheduler = PARAM_SCHEDULERS.build(
        dict(type=schedule, optimizer=wrapper, by_epoch=False, **SCHEDULES[schedule])
    )
    for _ in range(steps):
        wrapper.update_params(sum(each.square().sum() for each in parameters))
        scheduler.step()
    return wrapper, scheduler


@pytest.mark.parametrize(
    ('optimiser', 'schedule'),
    [*((each, 'PolyLR') for each in OPTIMISERS), *(('SGD', each) for each in SCHEDULES)],
)
def test_the_states_of_a_trained_run_fit_a_new_one(optimiser, schedule):
    if not hasattr(torch.optim, optimiser):
        pytest.skip('this PyTorch does not have it')
    old, new = trained(optimiser, schedule, 5), trained(optimiser, schedule, 0)
    check_optimizers(copy.deepcopy(old[0].state_dict()), new[0])
    check_schedulers([copy.deepcopy(old[1].state_dict())], [new[1]])


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
