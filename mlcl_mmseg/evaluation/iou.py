"""IoU from pixel counts (method.md §2)."""

from torch import Tensor


def iou(confusion: Tensor) -> Tensor:
    """Compute the IoU of each class, TP / (TP + FP + FN), without a synchronisation.

    The mean over classes is the ``nanmean()`` of the result.

    Args:
        confusion (Tensor): (C, C) pixel counts, label by prediction.

    Returns:
        Tensor: (C,) float64 from 0 to 1; NaN for a class that is neither labelled nor predicted.
    """
    confusion = confusion.double()
    intersection = confusion.diag()
    return intersection / (confusion.sum(0) + confusion.sum(1) - intersection)
