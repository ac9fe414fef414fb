"""Class indices and figures of pixels as colours: functions on arrays.

Images are (H, W, 3) uint8 RGB, indices (H, W) uint8 or wider; what is no class is ignored.
"""

from collections.abc import Sequence

import numpy as np

# of a pixel that has no class, where there is no image to show through
IGNORED = (255, 255, 255)
# of the stripes over such pixels, and their width in pixels
STRIPES, STRIPE_WIDTH = (255, 255, 255), 3

Palette = Sequence[Sequence[int]]


def colour_of(index: np.ndarray, palette: Palette) -> np.ndarray:
    """The colour of each pixel's class.

    Args:
        index (np.ndarray): (H, W) class indices from 0 to 255; those beyond the palette, such as
            255, are ignored.
        palette (Sequence): (C, 3) RGB from 0 to 255, in the order of the classes.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB, white where the index is ignored.
    """
    colours = np.full((256, 3), IGNORED, np.uint8)
    colours[: len(palette)] = palette
    return colours[index]


def overlay(
    image: np.ndarray, index: np.ndarray, palette: Palette, opacity: float = 0.5
) -> np.ndarray:
    """An image under the colours of its pixels' classes.

    Args:
        image (np.ndarray): (H, W, 3) uint8 RGB.
        index (np.ndarray): (H, W) class indices.
        palette (Sequence): (C, 3) RGB from 0 to 255.
        opacity (float): Of the colours: 0 is the image, 1 the colours alone.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB; where the index is ignored, the image as it is.
    """
    mixed = image + np.float32(opacity) * (colour_of(index, palette) - image.astype(np.float32))
    return np.where((index < len(palette))[..., None], np.rint(mixed).astype(np.uint8), image)


def hatch_ignored(picture: np.ndarray, index: np.ndarray, palette: Palette) -> np.ndarray:
    """A picture with diagonal stripes where the index is ignored.

    Args:
        picture (np.ndarray): (H, W, 3) uint8 RGB, such as an :func:`overlay`.
        index (np.ndarray): (H, W) class indices.
        palette (Sequence): (C, 3), for the number of classes.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB.
    """
    height, width = index.shape
    rows, columns = np.indices((height, width), sparse=True)
    striped = (rows + columns) // STRIPE_WIDTH % 2 == 0
    hatched = (index >= len(palette)) & striped
    return np.where(hatched[..., None], np.array(STRIPES, np.uint8), picture)


def grey_of(share: np.ndarray) -> np.ndarray:
    """Figures from 0 to 1 as a grey picture.

    Args:
        share (np.ndarray): (H, W), such as the probability of the predicted class.

    Returns:
        np.ndarray: (H, W) uint8 from 0 (black) to 255 (white).
    """
    return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)


def side_by_side(*pictures: np.ndarray) -> np.ndarray:
    """Pictures of one height from left to right.

    Args:
        *pictures (np.ndarray): (H, W, 3) or grey (H, W) uint8.

    Returns:
        np.ndarray: (H, ΣW, 3) uint8.
    """
    coloured = [
        picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
        for picture in pictures
    ]
    return np.concatenate(coloured, axis=1)
