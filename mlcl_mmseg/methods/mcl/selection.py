"""Selection of hard pseudo-labels by class-wise entropy thresholds (method.md §4, target pass)."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ...global_batch import gather_shares
from ...labels import IGNORE_INDEX
from ...pseudo_labels.grid import label_grid

# the integer dtype with as many bits as each float dtype
BITS = {torch.float32: torch.int32, torch.float64: torch.int64}


def normalised_entropy(probability: Tensor) -> Tensor:
    """Compute the entropy over classes, divided by its maximum log2(C).

    Args:
        probability (Tensor): (B, C, h, w) class probabilities.

    Returns:
        Tensor: (B, h, w) from 0 to 1.
    """
    classes = probability.shape[1]
    return (-probability * torch.log2(probability + 1e-30)).sum(dim=1) / math.log2(classes)


def class_thresholds(entropy: Tensor, hard: Tensor, num_classes: int, quantile: float) -> Tensor:
    """Compute the entropy threshold of each class.

    The threshold of a class is the entropy at index round(quantile · n) of its n pixels in
    ascending order, where halves are rounded to even. All classes are processed together: pixels
    are sorted by entropy, and then by class with a stable sort.

    Args:
        entropy (Tensor): (B, h, w).
        hard (Tensor): (B, h, w) int64 class indices.
        num_classes (int): Number of classes C.
        quantile (float): From 0 to 1; 0.5 in the paper.

    Returns:
        Tensor: (C,); 0 for a class without pixels.
    """
    entropy, hard = entropy.flatten(), hard.flatten()
    # the bit patterns of non-negative floats have the order of the floats, and sorting integers is
    # faster
    bits = entropy.clamp(min=0).view(BITS[entropy.dtype])
    by_entropy = bits.argsort()
    order = by_entropy[hard[by_entropy].argsort(stable=True)]
    ones = torch.ones_like(hard)
    count = torch.zeros(num_classes, dtype=torch.long, device=hard.device).scatter_add_(
        0, hard, ones
    )
    rank = (quantile * count).round().long().clamp(max=(count - 1).clamp(min=0))
    index = (count.cumsum(0) - count + rank).clamp(max=len(order) - 1)
    return torch.where(count > 0, entropy[order[index]], 0)


def select_pseudo_label(
    soft: Tensor,
    quantile: float = 0.5,
    entropy_floor: float = 0.25,
    size: Sequence[int] | None = None,
    global_batch: bool = False,
    align_corners: bool = True,
) -> Tensor:
    """Keep the certain pixels of each class as hard pseudo-labels on the label grid.

    A pixel of class c is kept if its entropy is below max(entropy_floor, τ_c).

    Args:
        soft (Tensor): (B, C, H, W) class probabilities, at crop size or on the label grid.
        quantile (float): The share of each class's pixels whose entropy is below τ_c.
        entropy_floor (float): Entropy from 0 to 1 below which a pixel is always kept.
        size (Sequence[int], optional): Size (h, w) of the label grid. By default, the size of the
            grid for a crop of the size of ``soft``.
        global_batch (bool): Whether τ_c is computed over the pixels of all processes.
        align_corners (bool): Whether ``soft`` is resized to the grid with aligned corners.

    Returns:
        Tensor: (B, h, w) int64 class indices, 255 = ignore.
    """
    size = label_grid(soft.shape[2:]) if size is None else tuple(size)
    if soft.shape[2:] != size:
        soft = F.interpolate(soft, size=size, mode='bilinear', align_corners=align_corners)
    # faster than argmax
    entropy, hard = normalised_entropy(soft), soft.max(dim=1).indices
    every = (gather_shares(entropy), gather_shares(hard)) if global_batch else (entropy, hard)
    threshold = class_thresholds(*every, soft.shape[1], quantile)
    kept = entropy < threshold.clamp(min=entropy_floor)[hard]
    return hard.where(kept, IGNORE_INDEX)
