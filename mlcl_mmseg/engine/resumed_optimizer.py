"""Checks that the states of optimisers and schedules in a checkpoint fit those of the run.

PyTorch and MMEngine accept states of other shapes or lengths, and the next step would then fail in
native code or continue with other learning rates.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from pydantic import BaseModel, StrictInt

from ..checkpoint_record import is_weight
from ..json_records import check_form

# entries of the state of a parameter that have its shape, in PyTorch's optimisers; others, such as
# the factors of Adafactor, have shapes of their own
OF_ITS_SHAPE = (
    *('momentum_buffer', 'exp_avg', 'exp_avg_sq', 'max_exp_avg_sq', 'exp_inf', 'square_avg'),
    *('sum', 'acc_delta', 'grad_avg', 'ax', 'prev'),
)


class OptimizerState(BaseModel):
    """The state of an optimiser, as PyTorch defines it."""

    state: dict[StrictInt, dict[str, Any]]
    param_groups: list[dict[str, Any]]


def check_optimizers(states: Any, wrapper: OptimWrapper | OptimWrapperDict) -> None:
    """Check the states of one or several optimisers.

    Args:
        states (Any): ``optimizer`` of the checkpoint.
        wrapper (OptimWrapper | OptimWrapperDict): The optimiser wrappers of the run.

    Raises:
        ValueError: If a state is missing or does not fit.
    """
    if not isinstance(wrapper, OptimWrapperDict):
        check_optimizer(states, wrapper.optimizer)
        return
    for name, each in wrapper.items():
        check_optimizer(check_form(states, dict[str, Any]).get(name), each.optimizer)


def check_optimizer(state: Any, optimizer: torch.optim.Optimizer) -> None:
    """Check that a state has the parameter groups of an optimiser, and tensors of their shapes.

    Raises:
        ValueError: If it does not.
    """
    found = check_form(state, OptimizerState)
    sizes = [len(group['params']) for group in optimizer.param_groups]
    found_sizes = [len(check_form(group.get('params'), list)) for group in found.param_groups]
    if found_sizes != sizes:
        raise ValueError(
            f'its optimizer has groups of {found_sizes} parameters, that of the run of {sizes}'
        )
    for group, own in zip(found.param_groups, optimizer.param_groups):
        # a checkpoint of an earlier PyTorch may lack settings, for which PyTorch has defaults
        for key in {*own} & {*group} - {'params'}:
            if not is_alike(group[key], own[key]):
                raise ValueError(f'its optimizer has {key}={group[key]!r}')
    parameters = [each for group in optimizer.param_groups for each in group['params']]
    for number, values in found.state.items():
        if number not in range(len(parameters)):
            raise ValueError(f'its optimizer has a state for a parameter {number}')
        for name, value in values.items():
            shape = parameters[number].shape
            if name in OF_ITS_SHAPE and value is not None:
                if not is_weight(value) or value.shape != shape:
                    raise ValueError(f'its optimizer has {name} that is not of shape {list(shape)}')
            elif not isinstance(value, torch.Tensor | int | float | bool | dict | None):
                raise ValueError(f'its optimizer has {name}={value!r}')


def check_schedulers(states: Any, schedulers: Any) -> None:
    """Check that a state has the same schedules with the same entries as the run.

    Args:
        states (Any): ``param_schedulers`` of the checkpoint; None if it has none.
        schedulers (Any): The built schedules, a list or a dictionary of lists; None without any.

    Raises:
        ValueError: If it does not.
    """
    if isinstance(schedulers, Mapping):
        for name, each in schedulers.items():
            check_schedulers(check_form(states, dict[str, Any]).get(name), each)
        return
    if not isinstance(schedulers, Sequence):
        return
    found = check_form(states, list[dict[str, Any]])
    if len(found) != len(schedulers):
        raise ValueError(f'it has {len(found)} schedules, and the run has {len(schedulers)}')
    for state, scheduler in zip(found, schedulers):
        own = scheduler.state_dict()
        for name in {**state, **own}:
            if name not in state or name not in own or not is_alike(state[name], own[name]):
                raise ValueError(f'its {type(scheduler).__name__} has {name}={state.get(name)!r}')


def is_alike(value: Any, own: Any) -> bool:
    """Whether two values have the same type; numbers, booleans and None count as one."""
    numbers = (int, float, bool, type(None))
    if isinstance(own, list | tuple):
        is_list = isinstance(value, list | tuple) and len(value) == len(own)
        return is_list and all(map(is_alike, value, own))
    return type(value) is type(own) or (type(value) in numbers and type(own) in numbers)
