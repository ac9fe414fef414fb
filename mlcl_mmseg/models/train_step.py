"""One optimiser step with one or more backward passes, skipped if anything is not finite."""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from functools import partial

import torch
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors
from torch.profiler import record_function

from ..errors import InputError
from ..global_batch import mean_figures


class AsyncBool:
    """A device boolean that is copied to the host without blocking.

    Reading a value directly makes the host wait for all work that is queued on the device. If it is
    read after the next step has been queued, the device still has work left.

    Args:
        value (Tensor): A bool scalar.

    Attributes:
        on_device (Tensor): The same scalar.
    """

    def __init__(self, value: Tensor) -> None:
        self.on_device, self.value, self.copied = value, value, None
        if value.is_cuda:
            self.value = torch.empty((), dtype=torch.bool, pin_memory=True)
            self.value.copy_(value, non_blocking=True)
            self.copied = torch.cuda.Event()
            self.copied.record()

    def __deepcopy__(self, memo: dict) -> 'AsyncBool':
        """Return the same object, which never changes; a copied segmentor contains one."""
        return self

    def __bool__(self) -> bool:
        """Wait for the copy and return the value."""
        if self.copied is not None:
            self.copied.synchronize()
        return bool(self.value)


def train_step(
    model: BaseModel,
    data: dict,
    optim_wrapper: OptimWrapper,
    turns: Iterable[str | None] = (None,),
) -> dict[str, Tensor]:
    """Run a forward and a backward pass for every turn, then one update.

    Afterwards, ``step_is_finite`` of the segmentor is true if the update was made. If the loss or a
    gradient was not finite, nothing has changed: neither weights nor running statistics nor the
    state of the optimiser; only a loss scale is lower. With fused optimisers, the host does not
    wait for the device.

    Args:
        model (BaseModel): A :class:`~mlcl_mmseg.methods.base.DomainSegmentor`, or its distributed
            wrapper.
        data (dict): A batch of :class:`MultiDomainDataset`.
        optim_wrapper (OptimWrapper): The optimiser wrapper of the network.
        turns (Iterable[str | None]): The parts of the loss, each with its own backward pass, which
            are passed to the segmentor as ``inputs['turn']``; None is the whole loss.

    Returns:
        dict[str, Tensor]: Scalars to log, as means over all processes.

    Raises:
        InputError: If the config accumulates gradients over several steps.
    """
    if optim_wrapper._accumulative_counts != 1:
        raise InputError(
            'optim_wrapper.accumulative_counts is not supported: use a larger batch_size, with '
            "model.backward='per_target' if there is not enough memory."
        )
    segmentor = model.module if is_model_wrapper(model) else model
    statistics = copied(segmentor.buffers())
    with record_function('data'):
        data = segmentor.data_preprocessor(data, True)
    figures: dict[str, Tensor] = {}
    turns = list(turns)
    for turn in turns:
        if turn is not None:
            data['inputs']['turn'] = turn
        is_last = turn == turns[-1]
        # processes exchange gradients once, in the last backward pass
        with model.no_sync() if is_model_wrapper(model) and not is_last else nullcontext():
            with optim_wrapper.optim_context(model), record_function('losses'):
                losses = model._run_forward(data, mode='loss')
            loss, found = segmentor.parse_losses(losses)
            for name, value in found.items():
                figures[name] = figures.get(name, 0) + value.detach()
            if is_last:
                figures = mean_figures(figures)
                is_finite = torch.isfinite(figures['loss'])
            optim_wrapper.backward(optim_wrapper.scale_loss(loss))
    with record_function('optimiser'):
        updated = update(optim_wrapper, is_finite)
        restore_unless(updated.on_device, statistics)
        optim_wrapper.zero_grad()
    segmentor.step_is_finite = updated
    return figures


def update(optim_wrapper: OptimWrapper, is_finite: Tensor) -> AsyncBool:
    """Update the weights of an optimiser unless one of its gradients is not finite.

    Fused optimisers decide on the device, so that the host does not have to wait for the backward
    pass. A loss scaler (fp16) only scales the gradients back and adjusts its scale.

    Args:
        optim_wrapper (OptimWrapper): The wrapper of the optimiser.
        is_finite (Tensor): A bool scalar; if it is False, nothing is updated either.

    Returns:
        AsyncBool: Whether the weights were updated.
    """
    optimizer, step = optim_wrapper.optimizer, optim_wrapper.step
    scaler = getattr(optim_wrapper, 'loss_scaler', None)
    if scaler is not None:
        scaler.unscale_(optimizer)
        # the scaler's own step would pass an overflow in the first step to a fused optimiser
        step = partial(OptimWrapper.step, optim_wrapper)
    parameters = [each for group in optimizer.param_groups for each in group['params']]
    updated = AsyncBool(is_finite & torch.isfinite(gradient_norm(parameters)))
    # in its first step, fused SGD has a momentum afterwards whatever it is told: that of gradients
    # that are not finite, or memory that nothing has written
    if optimizer.state and getattr(optimizer, '_step_supports_amp_scaling', False):
        optimizer.grad_scale, optimizer.found_inf = None, (~updated.on_device).float()
        step()
        del optimizer.grad_scale, optimizer.found_inf
    elif updated:
        step()
    if scaler is not None:
        scaler.update(optim_wrapper._scale_update_param)
    return updated


def gradient_norm(parameters: Sequence[Tensor]) -> Tensor:
    """Compute the norm of all gradients, which is not finite if one of them is not."""
    if hasattr(nn.utils, 'get_total_norm'):
        return nn.utils.get_total_norm([each.grad for each in parameters if each.grad is not None])
    # before PyTorch 2.6; a limit of infinity changes no gradient
    return nn.utils.clip_grad_norm_(parameters, torch.inf)


def copied(tensors: Iterable[Tensor]) -> list[tuple[list[Tensor], Tensor]]:
    """Copy the values of many small tensors into one tensor per dtype.

    Returns:
        list[tuple[list[Tensor], Tensor]]: For each dtype, the tensors and (N,) their values.
    """
    by_dtype: dict[torch.dtype, list[Tensor]] = {}
    for each in tensors:
        by_dtype.setdefault(each.dtype, []).append(each)
    # of a single tensor, the flat one is a view
    return [(own, _flatten_dense_tensors(own).clone()) for own in by_dtype.values()]


@torch.no_grad()
def restore_unless(is_kept: Tensor, copies: Sequence[tuple[list[Tensor], Tensor]]) -> None:
    """Restore the values that :func:`copied` copied, unless a bool scalar of the device is true."""
    for tensors, before in copies:
        values = torch.where(is_kept, _flatten_dense_tensors(tensors), before)
        torch._foreach_copy_(tensors, _unflatten_dense_tensors(values, tensors))
