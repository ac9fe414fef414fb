"""Cross-entropy with an ignore index and without division by zero (method.md §3, §6-Q7)."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.dist import get_world_size
from torch import Tensor

from ...global_batch import sum_of_shares
from ...labels import IGNORE_INDEX
from .precision import full_precision


def resize_logits(logits: Tensor, size: Sequence[int], align_corners: bool = True) -> Tensor:
    """Resize logits bilinearly in full precision.

    Args:
        logits (Tensor): (B, C, h, w).
        size (Sequence[int]): Size (H, W) of the result.
        align_corners (bool): Whether corners are aligned, as set in the decode head; True in MCL
            (method.md §1).

    Returns:
        Tensor: (B, C, H, W), float32 or float64.
    """
    logits = full_precision(logits)
    return F.interpolate(logits, size=tuple(size), mode='bilinear', align_corners=align_corners)


def pixel_cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Compute the cross-entropy of every pixel, which is 0 where the label is ignored.

    Args:
        logits (Tensor): (..., B, C, h, w).
        label (Tensor): (..., B, h, w) int64 class indices, 255 = ignore.

    Returns:
        Tensor: (..., B, h, w), float32 or float64.
    """
    loss = F.cross_entropy(
        full_precision(logits.flatten(0, -4)),
        label.flatten(0, -3),
        ignore_index=IGNORE_INDEX,
        reduction='none',
    )
    return loss.view(label.shape)


def source_cross_entropy(
    logits: Tensor, label: Tensor, global_batch: bool = False, align_corners: bool = True
) -> Tensor:
    """Compute the mean cross-entropy over the pixels that are not ignored; 0 if all are ignored.

    Args:
        logits (Tensor): (..., B, C, h, w), which are resized bilinearly to the label. Leading
            dimensions are those of several heads.
        label (Tensor): (B, H, W) int64 class indices, 255 = ignore.
        global_batch (bool): Whether the mean is computed over the batch of all processes.
        align_corners (bool): See :func:`resize_logits`.

    Returns:
        Tensor: (...), a scalar for one head.
    """
    heads, size = logits.shape[:-4], label.shape[1:]
    resized = resize_logits(logits.flatten(0, -4), size, align_corners)
    resized = resized.view(*heads, *logits.shape[-4:-2], *size)
    loss = pixel_cross_entropy(resized, label.expand(*heads, *label.shape)).sum((-3, -2, -1))
    count = (label != IGNORE_INDEX).sum()
    return divide_by_count(loss, count, global_batch)


def divide_by_count(total: Tensor, count: Tensor, global_batch: bool) -> Tensor:
    """Divide a sum over pixels by their number; 0 if there are no pixels.

    Args:
        total (Tensor): Sums over this process's share of the batch, of any shape.
        count (Tensor): A scalar, the number of pixels of this share.
        global_batch (bool): Whether to divide such that the mean of the results over all processes
            is the mean over all pixels of the batch.

    Returns:
        Tensor: Of the same shape.
    """
    if not global_batch:
        return total / count.clamp(min=1)
    return total / sum_of_shares(count).clamp(min=1) * get_world_size()
