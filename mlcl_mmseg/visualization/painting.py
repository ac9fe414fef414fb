"""Functions on arrays that paint class indices and other values of pixels as colours.

Images are (H, W, 3) uint8 RGB, and indices are (H, W) uint8 or a wider integer dtype. Indices
beyond the palette are ignored.
"""

from collections.abc import Sequence

import numpy as np

# colour of ignored pixels if there is no image below them
IGNORED = (255, 255, 255)
# colour of the stripes over ignored pixels, and their width in pixels
STRIPES, STRIPE_WIDTH = (255, 255, 255), 3

Palette = Sequence[Sequence[int]]


def colour_of(index: np.ndarray, palette: Palette) -> np.ndarray:
    """Return the colour of each pixel's class.

    Args:
        index (np.ndarray): (H, W) class indices from 0 to 255. Indices beyond the palette, such as
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
    """Blend an image with the colours of its pixels' classes.

    Args:
        image (np.ndarray): (H, W, 3) uint8 RGB.
        index (np.ndarray): (H, W) class indices.
        palette (Sequence): (C, 3) RGB from 0 to 255.
        opacity (float): Opacity of the colours: 0 shows only the image, 1 only the colours.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB; the image is unchanged where the index is ignored.
    """
    mixed = image + np.float32(opacity) * (colour_of(index, palette) - image.astype(np.float32))
    return np.where((index < len(palette))[..., None], np.rint(mixed).astype(np.uint8), image)


def hatch_ignored(image: np.ndarray, index: np.ndarray, palette: Palette) -> np.ndarray:
    """Draw diagonal stripes where the index is ignored.

    Args:
        image (np.ndarray): (H, W, 3) uint8 RGB, such as an :func:`overlay`.
        index (np.ndarray): (H, W) class indices.
        palette (Sequence): (C, 3) RGB; only its length is used, the number of classes.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB.
    """
    height, width = index.shape
    rows, columns = np.indices((height, width), sparse=True)
    striped = (rows + columns) // STRIPE_WIDTH % 2 == 0
    hatched = (index >= len(palette)) & striped
    return np.where(hatched[..., None], np.array(STRIPES, np.uint8), image)


def grey_of(share: np.ndarray) -> np.ndarray:
    """Paint values from 0 to 1 in grey.

    Args:
        share (np.ndarray): (H, W) values, such as the probability of the predicted class.

    Returns:
        np.ndarray: (H, W) uint8 from 0 (black) to 255 (white).
    """
    return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)


def side_by_side(*images: np.ndarray) -> np.ndarray:
    """Concatenate images of the same height from left to right.

    Args:
        *images (np.ndarray): (H, W, 3) or grey (H, W) uint8.

    Returns:
        np.ndarray: (H, ΣW, 3) uint8.
    """
    coloured = [
        image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2) for image in images
    ]
    return np.concatenate(coloured, axis=1)
