"""Warp pseudo-labels with the geometry of the strong view (method.md §2, §6-Q2)."""

import torch
from torch import Tensor

from ...labels import IGNORE_INDEX


def warp_pseudo_label(label: Tensor, affine: Tensor, cutout: Tensor, scale: float = 0.25) -> Tensor:
    """Warp labels on their grid in the same way as the strong view was warped at crop size.

    The labels are sampled by nearest neighbour.

    Args:
        label (Tensor): (B, h, w) int64 class indices.
        affine (Tensor): (B, 2, 3) matrices that map strong-view to weak-view pixels of the crop, in
            continuous coordinates (the centre of the first pixel is (0.5, 0.5)).
        cutout (Tensor): (B, 4) int64 boxes x0, y0, x1, y1 in pixels of the crop, end exclusive. On
            the grid, each coordinate is multiplied by ``scale`` and rounded down.
        scale (float): Size of the grid relative to the crop.

    Returns:
        Tensor: (B, h, w) int64 class indices; 255 (ignore) outside the weak view and in the box.
    """
    batch, height, width = label.shape
    x = torch.arange(width, device=label.device)
    y = torch.arange(height, device=label.device)
    x_centre, y_centre = (x + 0.5).to(affine.dtype), (y + 0.5).to(affine.dtype)[:, None]

    def source(row: int) -> Tensor:
        a, b, c = affine[:, row, :, None, None].unbind(1)
        return torch.floor(a * x_centre + b * y_centre + c * scale).long()

    source_x, source_y = source(0), source(1)
    inside = (source_x >= 0) & (source_x < width) & (source_y >= 0) & (source_y < height)
    index = source_y.clamp(0, height - 1) * width + source_x.clamp(0, width - 1)
    warped = label.flatten(1).gather(1, index.flatten(1)).view(batch, height, width)

    x0, y0, x1, y1 = torch.floor(cutout * scale)[:, :, None, None].unbind(1)
    y = y[:, None]
    cut = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
    return warped.where(inside & ~cut, IGNORE_INDEX)
