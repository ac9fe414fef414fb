"""The weak augmentation: random scale, crop and flip (method.md §2)."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from PIL import Image

from ...errors import InputError


def bilinear_matrix(size_in: int, size_out: int) -> np.ndarray:
    """The linear map that resizes one axis bilinearly with ``align_corners=True``.

    Returns:
        np.ndarray: (size_out, size_in) float64, rows sum to 1.
    """
    step = (size_in - 1) / (size_out - 1) if size_out > 1 else 0.0
    positions = np.arange(size_out) * step
    lower = np.minimum(positions.astype(int), max(size_in - 2, 0))
    weight = positions - lower
    matrix = np.zeros((size_out, size_in))
    rows = np.arange(size_out)
    matrix[rows, lower] += 1 - weight
    matrix[rows, np.minimum(lower + 1, size_in - 1)] += weight
    return matrix


def scaled_size(width: int, height: int, scale: float) -> tuple[int, int]:
    """(⌊scale·width⌋, ⌊that / aspect⌋)."""
    scaled_width = int(scale * width)
    return scaled_width, scaled_width * height // width


@TRANSFORMS.register_module()
class WeakAugmentation(BaseTransform):
    """Scale, crop and flip image, label and soft pseudo-label alike.

    The new width is ⌊U(scale_range)·W⌋, the height ⌊width / aspect⌋. Images are resized with
    Pillow's bilinear filter, labels with Pillow's nearest. The soft pseudo-label goes from feature
    resolution to the working size and through the same geometry, each step bilinear with
    ``align_corners=True``; these are linear maps per axis, so they are multiplied together and only
    the crop is computed.

    Args:
        crop_size (tuple[int, int]): (width, height) of the crop in pixels.
        scale_range (tuple[float, float]): Range of the scale.
        flip_prob (float): Probability of a horizontal flip.
    """

    def __init__(
        self,
        crop_size: tuple[int, int],
        scale_range: tuple[float, float] = (0.5, 1.5),
        flip_prob: float = 0.5,
    ) -> None:
        self.crop_size = tuple(crop_size)
        self.scale_range = tuple(scale_range)
        self.flip_prob = flip_prob

    def transform(self, results: dict) -> dict:
        """Transform ``img``, and ``gt_seg_map`` and ``soft_pseudo_label`` where present.

        Raises:
            InputError: If the image at the smallest scale is smaller than the crop.
        """
        height, width = results['img'].shape[:2]
        smallest = scaled_size(width, height, self.scale_range[0])
        if smallest[0] < self.crop_size[0] or smallest[1] < self.crop_size[1]:
            raise InputError(
                f'{results["img_path"]} scaled to {smallest[0]}x{smallest[1]} is smaller than the '
                f'crop {self.crop_size[0]}x{self.crop_size[1]}: raise scale_range of '
                'WeakAugmentation or lower its crop_size.'
            )
        scaled = scaled_size(width, height, np.random.uniform(*self.scale_range))
        left = np.random.randint(scaled[0] - self.crop_size[0] + 1)
        top = np.random.randint(scaled[1] - self.crop_size[1] + 1)
        columns = slice(left, left + self.crop_size[0])
        rows = slice(top, top + self.crop_size[1])
        flip = -1 if np.random.random() < self.flip_prob else 1

        for key, resample in (
            ('img', Image.Resampling.BILINEAR),
            ('gt_seg_map', Image.Resampling.NEAREST),
        ):
            if results.get(key) is not None:
                resized = np.asarray(Image.fromarray(results[key]).resize(scaled, resample))
                results[key] = resized[rows, columns][:, ::flip].copy()
        if results.get('soft_pseudo_label') is not None:
            soft = results['soft_pseudo_label']
            down = bilinear_matrix(height, scaled[1])[rows] @ bilinear_matrix(soft.shape[1], height)
            across = bilinear_matrix(width, scaled[0])[columns] @ bilinear_matrix(
                soft.shape[2], width
            )
            results['soft_pseudo_label'] = (
                down.astype(np.float32) @ soft @ across[::flip].T.astype(np.float32)
            )
        results['img_shape'] = results['img'].shape[:2]
        return results
