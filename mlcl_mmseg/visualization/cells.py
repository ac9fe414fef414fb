"""The cells of a contact sheet, which all have the same size."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor

from .columns import Classes, Images, Shares
from .painting import Palette, grey_of, hatch_ignored, overlay

# maximum width in pixels; larger images are shrunk, smaller ones are enlarged by a whole number
CELL_WIDTH = 320


class CellPainter(NamedTuple):
    """Paints tensors at the size of a cell.

    Attributes:
        palette (Palette): (C, 3) RGB from 0 to 255, in the order of the classes.
        size (tuple[int, int]): (width, height) of a cell.
    """

    palette: Palette
    size: tuple[int, int]

    def column(self, column: Images | Classes | Shares) -> list[np.ndarray]:
        """Paint all cells of a column."""
        if isinstance(column, Images):
            return [*map(self.image, column.images)]
        if isinstance(column, Classes):
            return [*map(self.classes, column.images, column.indices)]
        return [*map(self.share, column.shares)]

    def image(self, image: Tensor) -> np.ndarray:
        """Paint an image (3, h, w), RGB from 0 to 1, as (H, W, 3) uint8."""
        pixels = (image * 255).round().clamp(0, 255).byte().permute(1, 2, 0)
        smaller = image.shape[2] > self.size[0]
        return self.fit(pixels, Image.Resampling.BILINEAR if smaller else Image.Resampling.NEAREST)

    def classes(self, image: Tensor, index: Tensor) -> np.ndarray:
        """Paint class indices (h, w) over their image (3, h', w'), hatched where ignored."""
        indices = self.fit(index.byte(), Image.Resampling.NEAREST)
        return hatch_ignored(
            overlay(self.image(image), indices, self.palette), indices, self.palette
        )

    def share(self, share: Tensor) -> np.ndarray:
        """Paint values (h, w) from 0 (black) to 1 (white) in grey."""
        grey = grey_of(share.float().cpu().numpy())
        return np.asarray(Image.fromarray(grey).resize(self.size, Image.Resampling.NEAREST))

    def fit(self, pixels: Tensor, resample: Image.Resampling) -> np.ndarray:
        """Resize uint8 pixels (h, w) or (h, w, 3) to the size of a cell."""
        array = np.ascontiguousarray(pixels.cpu().numpy())
        return np.asarray(Image.fromarray(array).resize(self.size, resample))


def cell_size(size: Sequence[int]) -> tuple[int, int]:
    """Return the (width, height) of the cells for images of size (height, width)."""
    height, width = size
    factor = CELL_WIDTH // width or CELL_WIDTH / width
    return round(width * factor), round(height * factor)
