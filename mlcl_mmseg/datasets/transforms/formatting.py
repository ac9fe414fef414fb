"""Convert the results of a pipeline to the tensors of a training batch."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS


def image_to_tensor(image: np.ndarray) -> torch.Tensor:
    """Convert an image (H, W, 3) to a tensor (3, H, W) with the same values."""
    return torch.from_numpy(np.stack(cv2.split(image)))


def array_to_tensor(array: np.ndarray) -> torch.Tensor:
    """Convert an array to a contiguous tensor."""
    return torch.from_numpy(np.ascontiguousarray(array))


@TRANSFORMS.register_module()
class PackDomainInputs(BaseTransform):
    """Keep only the entries that training needs, converted to tensors.

    The result has these keys: ``img`` and ``strong_img`` (3, H, W) uint8 BGR, ``label`` (H, W)
    uint8, ``soft_pseudo_label`` (C, h, w) float32 on the label grid, ``strong_affine`` (2, 3)
    float32, ``strong_cutout`` (4,) int64 and ``img_path``. Keys that a sample does not have are
    omitted.
    """

    converters: dict[str, tuple[str, Callable[[Any], torch.Tensor | str]]] = dict(
        img=('img', image_to_tensor),
        gt_seg_map=('label', array_to_tensor),
        soft_pseudo_label=('soft_pseudo_label', array_to_tensor),
        strong_img=('strong_img', image_to_tensor),
        strong_affine=('strong_affine', array_to_tensor),
        strong_cutout=('strong_cutout', array_to_tensor),
        img_path=('img_path', str),
    )

    def transform(self, results: dict) -> dict:
        """Pack the sample of one domain."""
        return {
            name: convert(results[key])
            for key, (name, convert) in self.converters.items()
            if results.get(key) is not None
        }
