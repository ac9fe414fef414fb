"""One optimiser step, in one turn or several, skipped if its loss is not finite."""

from collections.abc import Iterable
from contextlib import nullcontext

import torch
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from ...errors import InputError
from ...global_batch import mean_figures


def train_step(
    model: nn.Module, data: dict, optim_wrapper: OptimWrapper, turns: Iterable[str | None] = (None,)
) -> dict[str, Tensor]:
    """Forward and backward of every turn, then one update.

    Args:
        model (nn.Module): The segmentor, or its distributed wrapper.
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
    statistics = [(each, each.clone()) for each in segmentor.buffers()]
    data = segmentor.data_preprocessor(data, True)
    figures: dict[str, Tensor] = {}
    turns = list(turns)
    for turn in turns:
        if turn is not None:
            data['inputs']['turn'] = turn
        # gradients are exchanged once, in the last backward pass
        waits = is_model_wrapper(model) and turn != turns[-1]
        with model.no_sync() if waits else nullcontext():
            with optim_wrapper.optim_context(model):
                losses = model._run_forward(data, mode='loss')
            loss, found = segmentor.parse_losses(losses)
            optim_wrapper.backward(optim_wrapper.scale_loss(loss))
        for name, value in found.items():
            figures[name] = figures.get(name, 0) + value.detach()
    figures = mean_figures(figures)
    if torch.isfinite(figures['loss']):
        optim_wrapper.step()
        optim_wrapper.zero_grad()
    else:
        optim_wrapper.zero_grad()
        for each, value in statistics:
            each.copy_(value)
    return figures
