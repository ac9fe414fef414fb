"""Cross-entropy with an ignore index, and without a division by zero (method.md §3, §6-Q7)."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.dist import get_world_size
from torch import Tensor

from ...global_batch import sum_of_shares
from ...labels import IGNORE_INDEX
from .precision import full_precision


def resize_logits(logits: Tensor, size: Sequence[int], align_corners: bool = True) -> Tensor:
    """Resize bilinearly, in full precision.

    Args:
        logits (Tensor): (B, C, h, w).
        size (Sequence[int]): (H, W).
        align_corners (bool): As the head that made them; True in MCL (method.md §1).

    Returns:
        Tensor: (B, C, H, W), at least float32.
    """
    logits = full_precision(logits)
    return F.interpolate(logits, size=tuple(size), mode='bilinear', align_corners=align_corners)


def pixel_cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy of every pixel, 0 where the label is ignored.

    Args:
        logits (Tensor): (B, C, h, w).
        label (Tensor): (B, h, w) int64 class indices, 255 = ignore.

    Returns:
        Tensor: (B, h, w), at least float32.
    """
    return F.cross_entropy(
        full_precision(logits), label, ignore_index=IGNORE_INDEX, reduction='none'
    )


def source_cross_entropy(
    logits: Tensor, label: Tensor, global_batch: bool = False, align_corners: bool = True
) -> Tensor:
    """Mean cross-entropy over the pixels that are not ignored; 0 if all are.

    Args:
        logits (Tensor): (B, C, h, w), resized bilinearly to the label.
        label (Tensor): (B, H, W) int64 class indices, 255 = ignore.
        global_batch (bool): Whether the mean is that over the shares of all processes.
        align_corners (bool): See :func:`resize_logits`.

    Returns:
        Tensor: A scalar.
    """
    logits = resize_logits(logits, label.shape[1:], align_corners)
    count = (label != IGNORE_INDEX).sum()
    loss = pixel_cross_entropy(logits, label).sum()
    return divide_by_count(loss, count, global_batch)


def divide_by_count(total: Tensor, count: Tensor, global_batch: bool) -> Tensor:
    """A sum over pixels as their mean; 0 if there are none.

    Args:
        total (Tensor): A scalar, of this process's share of the batch.
        count (Tensor): The number of pixels of this share.
        global_batch (bool): Whether to divide so that the mean of this over the processes is the
            mean over all pixels of the batch.

    Returns:
        Tensor: A scalar.
    """
    if not global_batch:
        return total / count.clamp(min=1)
    return total / sum_of_shares(count).clamp(min=1) * get_world_size()
