"""The weak augmentation: random scale, crop and flip (method.md §2)."""

import math

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from PIL import Image

from ...errors import InputError
from ...pseudo_labels.grid import label_grid

BILINEAR, NEAREST = Image.Resampling.BILINEAR, Image.Resampling.NEAREST


def bilinear_taps(
    places: np.ndarray, size: int, scaled_size: int, align_corners: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels and weights from which PyTorch interpolates an axis bilinearly.

    Args:
        places (np.ndarray): Indices of pixels of the resized axis, int of any shape.
        size (int): Size of the original axis.
        scaled_size (int): Size of the resized axis.
        align_corners (bool): Whether the centres of the corner pixels are aligned (True), or their
            outer corners (False).

    Returns:
        tuple[np.ndarray, np.ndarray]: For each pixel, the indices of two pixels of the original
        axis, (..., 2) int, and their weights, (..., 2) float64.
    """
    if align_corners:
        positions = places * ((size - 1) / max(scaled_size - 1, 1))
    else:
        positions = ((places + 0.5) * (size / scaled_size) - 0.5).clip(0, size - 1)
    lower = np.minimum(positions.astype(int), max(size - 2, 0))
    weight = positions - lower
    upper = np.minimum(lower + 1, size - 1)
    return np.stack([lower, upper], -1), np.stack([1 - weight, weight], -1)


def crop_matrix(
    sizes: tuple[int, int, int], crop: slice, grid_size: int, align_corners: bool = True
) -> np.ndarray:
    """Return the linear map of one axis from a soft pseudo-label to the label grid of a crop.

    Args:
        sizes (tuple[int, int, int]): Sizes of the axis at feature resolution, at the working size
            and after random scaling.
        crop (slice): The crop on the scaled axis.
        grid_size (int): Size of the axis on the label grid.
        align_corners (bool): See :func:`bilinear_taps`.

    Returns:
        np.ndarray: (grid_size, sizes[0]) float32, rows sum to 1.
    """
    features, working_size, scaled_size = sizes
    # go back from the grid to the features; in each step, a pixel is a mean of two earlier pixels
    crop_size = crop.stop - crop.start
    places, weights = bilinear_taps(np.arange(grid_size), crop_size, grid_size, align_corners)
    places += crop.start
    for size, target_size in ((working_size, scaled_size), (features, working_size)):
        places, factors = bilinear_taps(places, size, target_size, align_corners)
        weights = weights[..., None] * factors
    rows = np.arange(grid_size).repeat(8)
    matrix = np.bincount(
        rows * features + places.ravel(), weights.ravel(), minlength=grid_size * features
    )
    return matrix.reshape(grid_size, features).astype(np.float32)


def rows_for(size: int, scaled_size: int, crop: slice) -> slice:
    """Return the pixels of an axis that Pillow's bilinear filter needs for a crop of the result."""
    step = size / scaled_size
    reach = max(step, 1.0)
    # one pixel more on either side than its rounding may need
    first = math.floor((crop.start + 0.5) * step - reach) - 1
    last = math.ceil((crop.stop - 0.5) * step + reach) + 1
    return slice(max(first, 0), min(last, size))


def resize_image_crop(
    image: np.ndarray, scaled: tuple[int, int], rows: slice, columns: slice
) -> np.ndarray:
    """Return a crop of an image that Pillow resizes bilinearly, without resizing the whole image.

    The result equals the crop of the whole resized image to the last bit. Pillow resizes along the
    rows first, then along the columns, and skips an axis that keeps its size. So the first of two
    calls resizes along the rows that the crop needs, the second along the columns of the crop. The
    argument ``box`` of ``Image.resize`` would need only one call, but is rounded to float32. If
    Pillow may resize along the columns first, the whole image is resized.

    Args:
        image (np.ndarray): (H, W, 3) uint8.
        scaled (tuple[int, int]): (width, height) of the whole resized image.
        rows (slice): The rows of the crop in the resized image.
        columns (slice): The columns of the crop in the resized image.

    Returns:
        np.ndarray: The crop, (h, w, 3) uint8.
    """
    height, width = image.shape[:2]
    # the rule of Pillow 13 for columns first; with equal scale factors, it applies only to images
    # that are more than twice as high as wide
    if height - scaled[1] > max(0, 2 * (width - scaled[0])):
        return crop_of_resized(image, scaled, rows, columns, BILINEAR)
    needed = rows_for(height, scaled[1], rows)
    strip = Image.fromarray(image[needed])
    strip = strip.resize((scaled[0], strip.height), BILINEAR)
    # rows that the crop does not need stay black
    columns_only = Image.new('RGB', (columns.stop - columns.start, height))
    columns_only.paste(
        strip.crop((columns.start, 0, columns.stop, strip.height)), (0, needed.start)
    )
    resized = columns_only.resize((columns_only.width, scaled[1]), BILINEAR)
    return np.array(resized.crop((0, rows.start, resized.width, rows.stop)))


def crop_of_resized(
    image: np.ndarray, scaled: tuple[int, int], rows: slice, columns: slice, resample: int
) -> np.ndarray:
    """Return a crop of an image or label that Pillow resizes as a whole."""
    return np.asarray(Image.fromarray(image).resize(scaled, resample))[rows, columns].copy()


def scaled_size(width: int, height: int, scale: float) -> tuple[int, int]:
    """Return the scaled width ⌊scale·width⌋ and the height ⌊scaled width / aspect ratio⌋."""
    scaled_width = int(scale * width)
    return scaled_width, scaled_width * height // width


@TRANSFORMS.register_module()
class WeakAugmentation(BaseTransform):
    """Apply the same random scale, crop and flip to image, label and soft pseudo-label.

    The new width is ⌊U(scale_range)·W⌋ and the new height is ⌊new width / aspect ratio⌋. Images
    are resized with Pillow's bilinear filter, labels with Pillow's nearest-neighbour filter. The
    soft pseudo-label is resized bilinearly from feature resolution to the working size, gets the
    same scale, crop and flip, and is resized to the label grid (:func:`label_grid`), where
    pseudo-labels are selected. All of these are linear maps of each axis, so they are multiplied
    together and only the values on the grid are computed.

    Args:
        crop_size (tuple[int, int]): (width, height) of the crop in pixels.
        scale_range (tuple[float, float]): Smallest and largest scale.
        flip_prob (float): Probability of a horizontal flip.
        align_corners (bool): How soft pseudo-labels are resized. It must be the ``align_corners``
            of the decode head that predicted them.
    """

    def __init__(
        self,
        crop_size: tuple[int, int],
        scale_range: tuple[float, float] = (0.5, 1.5),
        flip_prob: float = 0.5,
        align_corners: bool = True,
    ) -> None:
        self.crop_size = tuple(crop_size)
        self.scale_range = tuple(scale_range)
        self.flip_prob = flip_prob
        self.align_corners = align_corners

    def transform(self, results: dict) -> dict:
        """Transform ``img`` and, if present, ``gt_seg_map`` and ``soft_pseudo_label``.

        Raises:
            InputError: If the image at the smallest scale is smaller than the crop.
        """
        height, width = results['img'].shape[:2]
        low, high = self.scale_range
        smallest = scaled_size(width, height, low)
        if smallest[0] < self.crop_size[0] or smallest[1] < self.crop_size[1]:
            raise InputError(
                f'{results["img_path"]} scaled to {smallest[0]}x{smallest[1]} is smaller than the '
                f'crop {self.crop_size[0]}x{self.crop_size[1]}: raise scale_range of '
                'WeakAugmentation or lower its crop_size.'
            )
        scaled = scaled_size(width, height, np.random.uniform(low, high))
        left = np.random.randint(scaled[0] - self.crop_size[0] + 1)
        top = np.random.randint(scaled[1] - self.crop_size[1] + 1)
        columns = slice(left, left + self.crop_size[0])
        rows = slice(top, top + self.crop_size[1])
        flip = np.random.random() < self.flip_prob

        crops = dict(img=resize_image_crop(results['img'], scaled, rows, columns))
        if results.get('gt_seg_map') is not None:
            # as fast as reading only the pixels of the crop
            label = results['gt_seg_map']
            crops['gt_seg_map'] = crop_of_resized(label, scaled, rows, columns, NEAREST)
        for key, crop in crops.items():
            results[key] = cv2.flip(crop, 1) if flip else crop
        if results.get('soft_pseudo_label') is not None:
            soft = results['soft_pseudo_label']
            grid = label_grid(self.crop_size[::-1])
            corners = self.align_corners
            down = crop_matrix((soft.shape[1], height, scaled[1]), rows, grid[0], corners)
            across = crop_matrix((soft.shape[2], width, scaled[0]), columns, grid[1], corners)
            results['soft_pseudo_label'] = down @ soft @ across[:: -1 if flip else 1].T
        results['img_shape'] = results['img'].shape[:2]
        return results
