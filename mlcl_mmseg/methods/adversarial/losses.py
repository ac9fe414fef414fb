"""The adversarial losses of the warm-up (method.md §3; ADVENT, Vu et al., CVPR 2019)."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ...models.losses.cross_entropy import resize_logits
from ...models.losses.precision import full_precision

# labels of the domains for the discriminators
SOURCE, TARGET = 0.0, 1.0

# name: (loss between logits and a constant label, default weight of the adversarial loss)
GAN_LOSSES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], float]] = dict(
    vanilla=(F.binary_cross_entropy_with_logits, 0.001),
    LS=(F.mse_loss, 0.01),
)


def self_information(logits: Tensor, size: tuple[int, int], align_corners: bool = True) -> Tensor:
    """Compute the weighted self-information map −p·log2(p) / log2(C) of upsampled logits.

    Args:
        logits (Tensor): (B, C, h, w).
        size (tuple[int, int]): Size (H, W) of the map.
        align_corners (bool): See :func:`resize_logits`.

    Returns:
        Tensor: (B, C, H, W), values of 0 or more, in float32 or float64.
    """
    probability = resize_logits(logits, size, align_corners).softmax(dim=1)
    return -probability * torch.log2(probability + 1e-30) / math.log2(logits.shape[1])


def gan_loss(logits: Tensor, label: float, gan: str) -> Tensor:
    """Compute the loss of a discriminator's logits for one domain label.

    Args:
        logits (Tensor): (B, 1, h, w).
        label (float): ``SOURCE`` (0) or ``TARGET`` (1).
        gan (str): 'vanilla' (binary cross-entropy) or 'LS' (squared error).

    Returns:
        Tensor: A scalar, the mean over all positions.
    """
    loss, _ = GAN_LOSSES[gan]
    logits = full_precision(logits)
    return loss(logits, torch.full_like(logits, label))
