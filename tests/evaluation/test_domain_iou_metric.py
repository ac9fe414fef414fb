import numpy as np
import pytest
import torch
from mmseg.registry import METRICS
from PIL import Image

from mlcl_mmseg.evaluation import DomainIoUMetric


def sample(domain, label, prediction):
    data = lambda rows: dict(data=torch.tensor([rows]))  # noqa: E731
    return dict(domain=domain, gt_sem_seg=data(label), pred_sem_seg=data(prediction))


@pytest.fixture
def metric():
    metric = METRICS.build(dict(type='DomainIoUMetric'))
    metric.dataset_meta = dict(classes=('a', 'b', 'c', 'd'))
    return metric


def test_by_hand(metric):
    """Counts add up over a domain; ignored pixels do not count; predicted but absent is 0."""
    samples = [
        # class a: 2 of 3; b: 1 of 2; d: empty union
        sample('idd', [[0, 0, 1, 255]], [[0, 0, 1, 3]]),
        sample('idd', [[1, 255]], [[0, 2]]),
        # a: 1 of 2; c is predicted and absent: 0 of 1
        sample('dusk', [[0, 0]], [[0, 2]]),
    ]
    metric.process({}, samples)
    figures = metric.evaluate(len(samples))
    idd, dusk = (2 / 3 + 1 / 2) / 2, (1 / 2 + 0) / 2
    assert figures['mIoU/idd'] == pytest.approx(100 * idd)
    assert figures['mIoU/dusk'] == pytest.approx(100 * dusk)
    assert figures['mIoU'] == pytest.approx(100 * (idd + dusk) / 2)
    assert figures['aAcc/idd'] == pytest.approx(75)
    assert figures['mAcc/idd'] == pytest.approx(75)


def test_counts_are_exact_beyond_float32():
    """A class of more than 2^24 pixels, as at full label resolution."""
    size = 2**24 + 3
    label = torch.zeros(size, dtype=torch.uint8)
    intersection, union, *_ = DomainIoUMetric.intersect_and_union(label, label, 4, 255)
    assert intersection.tolist() == union.tolist() == [size, 0, 0, 0]


def test_predictions_are_saved_by_domain_and_name(metric, tmp_path):
    """Two drives of a data set use the same frame names."""
    metric.output_dir = str(tmp_path)
    for name in ('0/frame', '1/frame'):
        metric.process({}, [{**sample('idd', [[0, 3]], [[2, 1]]), 'sample_name': name}])
        assert np.asarray(Image.open(tmp_path / 'idd' / f'{name}.png')).tolist() == [[2, 1]]
