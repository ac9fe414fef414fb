"""The grid of pseudo-labels (method.md §2)."""

from collections.abc import Sequence


def label_grid(size: Sequence[int]) -> tuple[int, int]:
    """Return (height, width) of the pseudo-label grid, a quarter of a crop's (height, width)."""
    height, width = size
    return height // 4, width // 4
