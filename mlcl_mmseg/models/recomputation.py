"""Activations that are computed again in the backward pass instead of kept."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from mmpretrain.models.backbones.resnet import BasicBlock, Bottleneck
from mmseg.models.backbones.mit import TransformerEncoderLayer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from ..errors import InputError

BLOCKS = (BasicBlock, Bottleneck, TransformerEncoderLayer)


def recompute_blocks(backbone: nn.Module) -> None:
    """Let every block of a backbone keep its inputs alone.

    Gradients, random draws and running statistics are what they would be.

    Args:
        backbone (nn.Module): A ResNet or a MixVisionTransformer.

    Raises:
        InputError: If the backbone has no such blocks.
    """
    blocks = [module for module in backbone.modules() if isinstance(module, BLOCKS)]
    if not blocks:
        raise InputError(
            f'model.recompute_activations is True, but {type(backbone).__name__} has no blocks to '
            'recompute: set it to False.'
        )
    for block in blocks:
        block.forward = partial(recomputed, block, block.forward)


def recomputed(
    block: nn.Module, forward: Callable[..., Tensor], *args: Any, **kwargs: Any
) -> Tensor:
    """A block's forward pass, kept or not as it needs a gradient or not."""
    return checkpoint(
        forward,
        *args,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), statistics_are_kept(block)),
        **kwargs,
    )


@contextmanager
def statistics_are_kept(block: nn.Module) -> Iterator[None]:
    """Leave running statistics alone: they have been updated when the block was first computed."""
    norms = [
        module
        for module in block.modules()
        if isinstance(module, _BatchNorm) and module.training and module.track_running_stats
    ]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked -= 1
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum
