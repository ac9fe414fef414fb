"""One optimiser step, in one turn or several, skipped if its loss is not finite."""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext

import torch
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import Tensor
from torch.profiler import record_function

from ..errors import InputError
from ..global_batch import mean_figures


class AsyncBool:
    """A device boolean that is copied to the host without blocking.

    Reading a value makes the host wait for everything that the device has been told to compute. If
    the copy is started before a backward pass and read after it, the value has arrived while the
    device still has work left.

    Args:
        value (Tensor): A bool scalar.
    """

    def __init__(self, value: Tensor) -> None:
        self.value, self.copied = value, None
        if value.is_cuda:
            self.value = torch.empty((), dtype=torch.bool, pin_memory=True)
            self.value.copy_(value, non_blocking=True)
            self.copied = torch.cuda.Event()
            self.copied.record()

    def __bool__(self) -> bool:
        """The value, once it has arrived."""
        if self.copied is not None:
            self.copied.synchronize()
        return bool(self.value)


def train_step(
    model: BaseModel,
    data: dict,
    optim_wrapper: OptimWrapper,
    turns: Iterable[str | None] = (None,),
) -> dict[str, Tensor]:
    """Forward and backward of every turn, then one update.

    Args:
        model (BaseModel): A :class:`~mlcl_mmseg.methods.base.DomainSegmentor`, or its distributed
            wrapper. Its ``step_is_finite`` tells afterwards whether there was an update.
        data (dict): A batch of :class:`MultiDomainDataset`.
        optim_wrapper (OptimWrapper): Of the network.
        turns (Iterable[str | None]): Parts of the loss whose backward passes follow one another,
            for ``inputs['turn']``; None is the whole loss.

    Returns:
        dict[str, Tensor]: Figures to log, the mean over all processes. If ``loss`` is not finite,
        weights, running statistics and the optimiser's state are as they were.

    Raises:
        InputError: If gradients are to be accumulated over several steps.
    """
    if optim_wrapper._accumulative_counts != 1:
        raise InputError(
            'optim_wrapper.accumulative_counts is not supported: use a larger batch_size, with '
            "model.backward='per_target' if memory is short."
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
        # gradients are exchanged once, in the last backward pass
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
    segmentor.step_is_finite = bool(is_finite)
    with record_function('optimiser'):
        if segmentor.step_is_finite:
            optim_wrapper.step()
        else:
            unpack(statistics, buffers)
        optim_wrapper.zero_grad()
    return figures


def pack(tensors: Sequence[Tensor]) -> dict[torch.dtype, Tensor]:
    """The values of many small tensors, in one copy for each dtype."""
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
