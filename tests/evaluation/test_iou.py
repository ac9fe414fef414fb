import numpy as np
import torch

from mlcl_mmseg.evaluation import iou


def test_by_hand():
    """Labels are rows; a class that is neither labelled nor predicted has no figure."""
    confusion = torch.tensor([[3, 1, 0, 0], [2, 4, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]])
    found = iou(confusion)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, [3 / 6, 4 / 8, np.nan, 0], rtol=1e-15)


def test_counts_beyond_float32():
    size = 2**24
    found = iou(torch.tensor([[size, 1], [0, 1]]))
    assert found.tolist() == [size / (size + 1), 1 / 2]
