"""The arithmetic of a training step, counted while it is done."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..methods.base import DomainSegmentor


def operations_of_step(segmentor: DomainSegmentor, batch: dict) -> int:
    """Count the floating-point operations of one step's forward and backward passes.

    What is counted is what is computed: convolutions and matrix products, two operations for a
    multiplication and an addition. A head's products with padding, which are left out below its
    ``window_share``, do not count. Updates and optimisers beside the network's do not count either.

    Args:
        segmentor (DomainSegmentor): Of any method; its gradients are set to zero afterwards.
        batch (dict): Of a loader.

    Returns:
        int: Operations of the whole batch.
    """
    inputs = segmentor.data_preprocessor(batch, True)['inputs']
    with FlopCounterMode(display=False) as counter:
        for turn in segmentor.turns:
            loss, _ = segmentor.parse_losses(segmentor.loss({**inputs, 'turn': turn}))
            loss.backward()
    segmentor.zero_grad()
    torch.cuda.empty_cache()
    return counter.get_total_flops()
