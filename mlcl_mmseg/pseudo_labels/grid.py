"""The grid of pseudo-labels (method.md §2)."""

from collections.abc import Sequence


def label_grid(size: Sequence[int]) -> tuple[int, int]:
    """(height, width) of the grid of pseudo-labels, for a crop of that size: a quarter of it."""
    height, width = size
    return height // 4, width // 4
