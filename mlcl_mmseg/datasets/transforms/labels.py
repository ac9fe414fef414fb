"""Labels of a sample: raw ids to class indices, soft pseudo-labels from the store."""

from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from ...pseudo_labels.store import load_soft_pseudo_label


@TRANSFORMS.register_module()
class MapLabels(BaseTransform):
    """Map the raw ids of ``gt_seg_map`` to class indices; nothing happens without a label.

    Mapping commutes with nearest-neighbour resizing: put it after ``Resize``, where the label is
    small.
    """

    def transform(self, results: dict) -> dict:
        """Replace ``gt_seg_map`` (H, W) of raw ids by class indices, 255 = ignore."""
        if results.get('gt_seg_map') is not None:
            results['gt_seg_map'] = results['map_label'](
                results['gt_seg_map'], results['seg_map_path']
            )
        return results


@TRANSFORMS.register_module()
class LoadSoftPseudoLabel(BaseTransform):
    """Load the soft pseudo-label of a target image, (C, h, w) at feature resolution.

    Put it after the ``Resize`` to the working size, whose extent it covers.
    """

    def transform(self, results: dict) -> dict:
        """Add ``soft_pseudo_label``.

        Raises:
            FileNotFoundError: If no pseudo-labels have been generated for this data set.
        """
        if 'pseudo_label_path' not in results:
            raise FileNotFoundError(
                f'{results["domain"]} has no pseudo-labels: add PseudoLabelHook to custom_hooks.'
            )
        results['soft_pseudo_label'] = load_soft_pseudo_label(results['pseudo_label_path'])
        return results
