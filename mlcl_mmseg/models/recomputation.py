"""Activation checkpointing: activations are recomputed in the backward pass, not stored."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from mmpretrain.models.backbones.resnet import BasicBlock, Bottleneck
from mmseg.models.backbones.mit import TransformerEncoderLayer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..errors import InputError
from .norms import batch_norms

BLOCKS = (BasicBlock, Bottleneck, TransformerEncoderLayer)


def recompute_blocks(backbone: nn.Module) -> None:
    """Make every block of a backbone store only its inputs for the backward pass.

    Gradients, random numbers and running statistics do not change.

    Args:
        backbone (nn.Module): A ResNet or a MixVisionTransformer.

    Raises:
        InputError: If the backbone has no blocks of these architectures.
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
    """Run a block's forward pass; its activations are recomputed if there is a backward pass."""
    norms = [norm for norm in batch_norms([block]) if norm.track_running_stats]
    # the backward pass may come when batches have another number of passes
    passes = [getattr(norm, 'passes', 1) for norm in norms]
    return checkpoint(
        forward,
        *args,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), statistics_are_kept(norms, passes)),
        **kwargs,
    )


@contextmanager
def statistics_are_kept(norms: Sequence[Any], passes: Sequence[int]) -> Iterator[None]:
    """Keep running statistics unchanged, since the first forward pass has updated them.

    Args:
        norms (Sequence[_BatchNorm]): The norms whose statistics are kept.
        passes (Sequence[int]): For each norm, the number of passes in its batch, see
            :class:`~mlcl_mmseg.models.norms.PassBatchNorm`.
    """
    before = [(norm.momentum, getattr(norm, 'passes', 1)) for norm in norms]
    for norm, count in zip(norms, passes):
        norm.momentum, norm.passes = 0.0, count
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked -= count
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before):
            norm.momentum, norm.passes = momentum, count
