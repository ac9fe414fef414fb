"""One optimiser step with one or more backward passes, skipped if anything is not finite."""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext

import torch
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.profiler import record_function

from ..errors import InputError
from ..global_batch import mean_figures


class AsyncBool:
    """A device boolean that is copied to the host without blocking.

    Reading a value directly makes the host wait for all work that is queued on the device. If the
    copy is started before a backward pass and read after it, the value arrives while the device
    still has work left.

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
    gradient was not finite, weights and the state of the optimiser are unchanged. If the loss was
    not finite, running statistics are unchanged as well; under a finite loss, those of the forward
    pass are finite.

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
    buffers = list(segmentor.buffers())
    statistics = pack(buffers)
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
                is_finite = AsyncBool(torch.isfinite(figures['loss']))
            optim_wrapper.backward(optim_wrapper.scale_loss(loss))
    with record_function('optimiser'):
        if is_finite:
            is_finite = update(optim_wrapper, is_finite.on_device)
        else:
            unpack(statistics, buffers)
        optim_wrapper.zero_grad()
    segmentor.step_is_finite = is_finite
    return figures


def update(optim_wrapper: OptimWrapper, is_finite: Tensor) -> AsyncBool:
    """Update the weights of an optimiser unless one of its gradients is not finite.

    Fused optimisers decide on the device, so that the host does not have to wait for the backward
    pass. With loss scaling (fp16), the scaler makes this decision.

    Args:
        optim_wrapper (OptimWrapper): The wrapper of the optimiser.
        is_finite (Tensor): A bool scalar; if it is False, nothing is updated either.

    Returns:
        AsyncBool: Whether the weights were updated.
    """
    optimizer = optim_wrapper.optimizer
    if hasattr(optim_wrapper, 'loss_scaler'):
        updated = AsyncBool(is_finite)
        if updated:
            optim_wrapper.step()
        return updated
    parameters = [each for group in optimizer.param_groups for each in group['params']]
    updated = AsyncBool(is_finite & torch.isfinite(gradient_norm(parameters)))
    # in its first step, fused SGD takes its momentum from the gradients whatever it is told
    if optimizer.state and getattr(optimizer, '_step_supports_amp_scaling', False):
        optimizer.grad_scale, optimizer.found_inf = None, (~updated.on_device).float()
        optim_wrapper.step()
        del optimizer.grad_scale, optimizer.found_inf
    elif updated:
        optim_wrapper.step()
    return updated


def gradient_norm(parameters: Sequence[Tensor]) -> Tensor:
    """Compute the norm of all gradients, which is not finite if one of them is not."""
    if hasattr(nn.utils, 'get_total_norm'):
        return nn.utils.get_total_norm([each.grad for each in parameters if each.grad is not None])
    # before PyTorch 2.6; a limit of infinity changes no gradient
    return nn.utils.clip_grad_norm_(parameters, torch.inf)


def pack(tensors: Sequence[Tensor]) -> dict[torch.dtype, Tensor]:
    """Copy the values of many small tensors into one tensor per dtype."""
    dtypes = dict.fromkeys(each.dtype for each in tensors)
    return {
        dtype: torch.cat([each.reshape(-1) for each in tensors if each.dtype == dtype])
        for dtype in dtypes
    }


@torch.no_grad()
def unpack(packed: dict[torch.dtype, Tensor], tensors: Sequence[Tensor]) -> None:
    """Restore the values that :func:`pack` copied."""
    for dtype, values in packed.items():
        own = [each for each in tensors if each.dtype == dtype]
        for each, value in zip(own, values.split([each.numel() for each in own])):
            each.copy_(value.view(each.shape))
