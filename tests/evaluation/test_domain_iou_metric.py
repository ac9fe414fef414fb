import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmseg.registry import METRICS
from PIL import Image

from mlcl_mmseg.errors import InputError
from mlcl_mmseg.evaluation import domain_iou_metric
from mlcl_mmseg.evaluation.domain_iou_metric import count_pairs, histogram, parallel_histogram


def sample(domain, label, prediction, name='frame'):
    data = lambda rows: dict(data=torch.tensor([rows]))  # noqa: E731
    maps = dict(gt_sem_seg=data(label), pred_sem_seg=data(prediction))
    return dict(domain=domain, sample_name=name, **maps)


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
    label = torch.zeros(1, size, dtype=torch.long)
    assert count_pairs(label, label, 1, 255).tolist() == [size, 0, 0]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 30), st.integers(1, 6))
def test_counts_pixel_by_pixel(seed, height, width, num_classes):
    generator = np.random.default_rng(seed)
    label = generator.choice([*range(num_classes), 255], (height, width))
    prediction = generator.integers(num_classes, size=(height, width))
    expected = np.zeros((num_classes, num_classes), int)
    for true, found in zip(label.flat, prediction.flat):
        if true != 255:
            expected[true, found] += 1
    found = count_pairs(torch.tensor(label), torch.tensor(prediction), num_classes, 255)
    assert found[:-2].tolist() == expected.flatten().tolist()
    assert found[-2:].tolist() == [(label == 255).sum(), 0]


def test_gpus_count_the_same():
    values = torch.randint(50, (70, 9), generator=torch.Generator().manual_seed(0)).short()
    assert torch.equal(parallel_histogram(values, 60), histogram(values, 60))


def test_what_is_no_class():
    """Labels of any size, and predictions beyond the classes; ignored pixels are only ignored."""
    label = torch.tensor([[-7, -1, 2, 254, 256, 70000, 255, 255, 0, 1]])
    prediction = torch.tensor([[0, 0, 0, 0, 0, 0, 1, 300, 2, 300]])
    assert count_pairs(label, prediction, 2, 255).tolist() == [0, 0, 0, 0, 2, 8]


def test_an_evaluation_starts_from_nothing_and_keeps_its_counts(metric):
    for label, expected in (([[0, 1]], [[1, 0], [0, 1]]), ([[1, 1]], [[0, 0], [1, 1]])):
        metric.process({}, [sample('idd', label, [[0, 1]])])
        metric.evaluate(1)
        assert metric.confusion['idd'][:2, :2].tolist() == expected
    assert metric.confusion['idd'].sum() == 2


def test_images_have_scores_of_their_own(metric):
    """By hand; an image without a labelled pixel has none, a new evaluation has none of before."""
    samples = [
        sample('idd', [[0, 0, 1, 255]], [[0, 1, 1, 3]], 'b'),
        sample('idd', [[0, 1, 2, 2]], [[0, 1, 2, 2]], 'a'),
        sample('idd', [[255, 255]], [[0, 1]], 'unlabelled'),
        sample('dusk', [[0]], [[2]], 'a'),
    ]
    for chosen in (samples, samples[:1]):
        metric.process({}, chosen)
        metric.evaluate(len(chosen))
    assert metric.image_scores == dict(idd=dict(b=50.0))
    metric.process({}, samples)
    metric.evaluate(4)
    assert metric.image_scores == dict(idd=dict(a=100.0, b=50.0), dusk=dict(a=0.0))
    assert list(metric.image_scores['idd']) == ['a', 'b']


def test_domains_keep_the_order_of_the_validation_set(metric):
    """A process may begin with any, or see no image of one."""
    metric.dataset_meta['domains'] = ['idd', 'dusk']
    metric.process({}, [sample(domain, [[0]], [[0]]) for domain in ('dusk', 'idd')])
    figures = metric.evaluate(2)
    assert [key for key in figures if key.startswith('mIoU/')] == ['mIoU/idd', 'mIoU/dusk']


@pytest.mark.parametrize(
    ('label', 'prediction', 'size', 'message'),
    [
        ([[0, 1]], [[0, 1]], 2, '1 images were evaluated, but the validation set has 2: set sampl'),
        ([[0, 4]], [[0, 0]], 1, 'of idd are outside the 4 classes'),
        ([[0, 4]], [[0, 1]], 1, 'of idd are outside the 4 classes'),
        ([[0, -1]], [[0, 3]], 1, 'of idd are outside the 4 classes'),
        ([[0, 1]], [[0, 4]], 1, 'of idd are outside the 4 classes'),
        ([[0, 1]], [[0, 5]], 1, 'of idd are outside the 4 classes'),
    ],
)
def test_what_cannot_be_counted_is_named(metric, label, prediction, size, message):
    metric.process({}, [sample('idd', label, prediction)])
    with pytest.raises(InputError, match=message):
        metric.evaluate(size)


def test_predictions_are_saved_by_domain_and_name(tmp_path):
    """Two drives of a data set use the same frame names; a test set may have no labels."""
    metric = METRICS.build(dict(type='DomainIoUMetric', output_dir=str(tmp_path), format_only=True))
    metric.dataset_meta = dict(classes=('a', 'b', 'c', 'd'))
    prediction = [[0, 3], [2, 1], [1, 1]]
    for name in ('0/frame', '1/frame', '1/other'):
        sample_without_label = sample('idd', prediction, prediction, name)
        del sample_without_label['gt_sem_seg']
        metric.process({}, [sample_without_label])
        found = np.asarray(Image.open(tmp_path / 'idd' / f'{name}.png'))
        assert found.tolist() == prediction
    assert metric.evaluate(3) == {}


def test_predictions_stay_in_their_folder(tmp_path):
    metric = METRICS.build(
        dict(type='DomainIoUMetric', output_dir=str(tmp_path / 'o'), format_only=True)
    )
    metric.dataset_meta = dict(classes=('a', 'b'))
    for domain, name in (('..', 'x'), ('idd', '../../x'), ('/idd', 'x')):
        with pytest.raises(InputError, match=r'x\.png would not lie in .*o: rename the domain'):
            metric.process({}, [sample(domain, [[0]], [[0]], name)])
    # one name on another disk, and an input
    (tmp_path / 'o/idd').mkdir(parents=True)
    (tmp_path / 'precious').write_bytes(b'precious')
    (tmp_path / 'o/idd/x.png').symlink_to(tmp_path / 'precious')
    for key in ('img_path', 'seg_map_path'):
        read = {**sample('idd', [[0]], [[1]], 'x'), key: str(tmp_path / 'precious')}
        with pytest.raises(InputError, match=r'x\.png is an input and would be overwritten'):
            metric.process({}, [read])
    metric.process({}, [sample('idd', [[0]], [[1]], 'x'), sample('idd', [[0]], [[1]], 'a..b')])
    assert np.asarray(Image.open(tmp_path / 'o/idd/x.png')).tolist() == [[1]]
    assert (tmp_path / 'precious').read_bytes() == b'precious'
    assert (tmp_path / 'o/idd/a..b.png').is_file()


def test_a_domain_without_an_image_has_no_figure(metric):
    """As on a process that has seen none; of all processes there are some."""
    metric.dataset_meta['domains'] = ['idd', 'dusk']
    metric.process({}, [sample('idd', [[0], [1]], [[0], [1]])])
    figures = metric.evaluate(1)
    assert metric.confusion['dusk'].tolist() == [[0] * 4] * 4
    assert metric.confusion['idd'].dtype == torch.int64
    assert figures['mIoU/idd'] == 100
    assert np.isnan(figures['mIoU/dusk'])


def test_the_log_has_a_table_of_classes_and_domains(metric, monkeypatch):
    said = []
    monkeypatch.setattr(domain_iou_metric, 'print_log', lambda *text, logger: said.append(text[0]))
    samples = [
        sample('idd', [[0, 0, 1, 1]], [[0, 0, 0, 1]]),
        sample('dusk', [[0, 1]], [[0, 1]]),
    ]
    metric.process({}, samples)
    metric.evaluate(2)
    table, mean = said
    rows = [[cell.strip() for cell in row.split('|')[1:-1]] for row in table.splitlines()]
    assert [row for row in rows if row] == [
        ['class', 'idd', 'dusk'],
        ['a', '66.67', '100.0'],
        ['b', '50.0', '100.0'],
        ['c', 'nan', 'nan'],
        ['d', 'nan', 'nan'],
        ['mIoU', '58.33', '100.0'],
    ]
    assert mean == 'mIoU, mean over 2 domains: 79.17'
