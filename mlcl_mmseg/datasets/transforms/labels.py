"""Load the labels of a sample: raw ids, class indices and stored soft pseudo-labels."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from ...errors import MissingFileError
from ...pseudo_labels.store import load_soft_pseudo_label
from ...untrusted_files import REPLACE
from ..image_files import open_image


@TRANSFORMS.register_module()
class LoadRawLabel(BaseTransform):
    """Load the raw ids of a label image. A sample without a label is not changed.

    Use it instead of MMSegmentation's ``LoadAnnotations``, which would silently convert 16-bit ids
    to different 8-bit ids. Put it after ``LoadImageFromFile``.
    """

    def transform(self, results: dict) -> dict:
        """Add ``gt_seg_map`` (H, W) uint8 with raw ids, and add its name to ``seg_fields``.

        Raises:
            InputError: If the label cannot be read, does not have 8-bit ids or does not fit the
                image.
        """
        if 'seg_map_path' not in results:
            return results
        path, remedy = results['seg_map_path'], results.get('remedy', REPLACE)
        height, width = results['ori_shape']
        results['label_format'].check(path, results['img_path'], (width, height), remedy)
        results['gt_seg_map'] = np.array(open_image(path, remedy=remedy))
        results['seg_fields'].append('gt_seg_map')
        return results


@TRANSFORMS.register_module()
class MapLabels(BaseTransform):
    """Map the raw ids of ``gt_seg_map`` to class indices. A sample without a label is not changed.

    Mapping commutes with nearest-neighbour resizing, so put it after ``Resize``, where the label
    is small.
    """

    def transform(self, results: dict) -> dict:
        """Replace the raw ids in ``gt_seg_map`` (H, W) by class indices, 255 = ignore.

        Raises:
            InputError: If the label is not a single-channel image, or contains an id above the
                highest id of the data set.
        """
        if results.get('gt_seg_map') is not None:
            results['gt_seg_map'] = results['label_format'].map(
                results['gt_seg_map'], results['seg_map_path']
            )
        return results


@TRANSFORMS.register_module()
class LoadSoftPseudoLabel(BaseTransform):
    """Load the soft pseudo-label of a target image, (C, h, w) at feature resolution.

    Put it after the ``Resize`` to the working size, since the pseudo-label covers the whole image.
    """

    def transform(self, results: dict) -> dict:
        """Add ``soft_pseudo_label``.

        Raises:
            MissingFileError: If no pseudo-labels have been generated for the domain.
        """
        if 'pseudo_label_path' not in results:
            raise MissingFileError(
                f'{results["domain"]} has no pseudo-labels: add PseudoLabelHook to custom_hooks.'
            )
        results['soft_pseudo_label'] = load_soft_pseudo_label(results['pseudo_label_path'])
        return results
