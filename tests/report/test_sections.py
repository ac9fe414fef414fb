"""What the parts of the page say, by hand."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from mlcl_mmseg.engine.run_records import write_pseudo_label
from mlcl_mmseg.evaluation import iou
from mlcl_mmseg.methods.mcl.selection import select_pseudo_label
from mlcl_mmseg.report import pictures as pictures_module
from mlcl_mmseg.report.class_figures import class_tables, confusion_matrices
from mlcl_mmseg.report.curves import training_curves, validation_curves
from mlcl_mmseg.report.groups import group_runs
from mlcl_mmseg.report.overview import best_figures, environments, settings
from mlcl_mmseg.report.pictures import choose, coloured, pictures
from mlcl_mmseg.report.pseudo_label_quality import (
    at_grid_points,
    labelled_targets,
    measure,
    pseudo_label_quality,
    quality,
)
from mlcl_mmseg.report.run import read_run

from .conftest import leave_run


@pytest.fixture
def groups(tmp_path):
    """Two seeds of one setting, and a run of another."""
    better = {1000: (62.0, 50.0), 2000: (80.0, 64.0)}
    runs = [
        leave_run(tmp_path / 'seed_0'),
        leave_run(tmp_path / 'seed_1', 1, better),
        leave_run(tmp_path / 'other', model='another'),
    ]
    return group_runs(runs)


def rows(section: str) -> list[list[str]]:
    """The texts of a section's tables, row by row."""
    return [
        [re.sub('<[^>]*>', '', cell).strip() for cell in re.findall(r'<t[hd].*?</t[hd]>', row)]
        for row in re.findall(r'<tr>(.*?)</tr>', section, re.S)
    ]


def test_best_figures(groups):
    head, seeds, other, authors = rows(best_figures(groups))
    assert head == ['', 'mean', 'cityscapes', 'idd', 'at iteration', 'of', 'seed']
    assert seeds[:4] == ['seed_{0,1}', '68.50 ± 4.95', '75.00 ± 7.07', '62.00 ± 2.83']
    assert seeds[4:] == ['2000', '2000 (unfinished)', '0, 1']
    assert other[:4] == ['other', '65.00', '70.00', '60.00']
    assert authors[:4] == ['g2ci, the authors’', '73.26', '74.23', '72.29']


def test_settings(groups):
    found = {row[0]: row[1:] for row in rows(settings(groups))}
    assert found['model'] == ['MCLSegmentor', 'MCLSegmentor']
    assert found['targets'] == ['cityscapes idd'] * 2
    assert found['images (width, height)'] == ['640×320'] * 2
    assert found['images per domain and step'] == ['4'] * 2
    assert found['precision'] == ['tf32, which is fp32 without a GPU'] * 2
    assert found['seed'] == ['0, 1', '0']
    assert found['seconds per step (median)'] == ['0.6'] * 2
    # of all three runs
    assert found['randomness.seed'] == ['0', '1', '0']
    assert 'GPU memory (MiB)' not in found


def test_environments(groups):
    section = environments(groups)
    found = {row[0]: row[1:] for row in rows(section)}
    assert found['PyTorch'] == ['2.0, 2.1', '2.0']
    assert section.count('class="differs"') == 2
    groups[1].first.environment.clear()
    assert 'Not recorded by: other.' in environments(groups)


def test_validation_curves(groups):
    section = validation_curves(groups)
    titles = re.findall('<figcaption>(.*?)</figcaption>', section)
    assert titles == ['cityscapes, mIoU (%)', 'idd, mIoU (%)', 'mean, mIoU (%)']
    assert '<title>seed_{0,1}, 1000: 61 ± 1.414</title>' in section
    assert '<title>other, 2000: 70</title>' in section
    # the authors' first validation of Cityscapes; their curve is drawn once
    assert '<title>the authors’ g2ci, 1000: 66.79</title>' in section
    assert section.count('dashed"') == 3


def test_nothing_is_validated_yet(tmp_path):
    groups = group_runs([leave_run(tmp_path / 'run', figures={})])
    assert 'Nothing has been validated yet.' in validation_curves(groups)
    assert rows(best_figures(groups))[1][:4] == ['run', '–', 'none', '100 (unfinished)']
    assert 'stored no confusion matrices' in class_tables(groups)
    assert 'stored no confusion matrices' in confusion_matrices(groups)
    assert 'stored no figures of single images' in pictures(groups, 2)
    assert 'None of these runs stored pseudo-labels' in pseudo_label_quality(groups)


def test_training_curves(groups):
    section = training_curves(groups)
    assert re.findall('<figcaption>(.*?)</figcaption>', section) == ['loss', 'lr']
    assert '<title>seed_{0,1}, 50: 2.5 ± 0.7071</title>' in section


def test_class_tables(groups):
    domains, runs, flat, construction = rows(class_tables(groups))
    assert domains == ['', 'cityscapes', 'idd']
    assert runs == ['seed_{0,1}', 'other', 'the authors’'] * 2
    assert flat == ['flat', '80.00 ± 0.00', '80.00', '95.04', '100.00 ± 0.00', '100.00', '93.98']
    # in idd there is none
    assert construction[4:] == ['–', '–', '63.79']
    assert 'rgb(128,64,128)' in class_tables(groups)


def test_sets_of_classes_have_tables_of_their_own(tmp_path):
    runs = [
        leave_run(tmp_path / 'a'),
        leave_run(tmp_path / 'b', classes=('road', 'sky'), model='another'),
    ]
    found = [row[0] for row in rows(class_tables(group_runs(runs)))]
    assert [name for name in found if name in ('flat', 'construction', 'road', 'sky')] == [
        *('flat', 'construction', 'road', 'sky')
    ]


def test_confusion_matrices(groups):
    section = confusion_matrices(groups)
    assert 'title="construction predicted as flat: 100.00 %"' in section
    # the best group's are shown, the others folded away
    assert re.findall('<details(.*?)>', section) == [' open=""', '']
    assert len(re.findall('class="matrix"', section)) == 4


def test_the_best_and_the_worst(groups):
    record = groups[0].first.best_record
    assert choose(record, 1)['idd'] == dict(b='best', a='worst')
    assert list(choose(record, 1)['idd']) == ['b', 'a']
    # each is shown once
    assert choose(record, 2)['idd'] == dict(b='best', c='best', a='worst')


def test_pictures_that_cannot_be_had_are_told(groups):
    section = pictures(groups, 1)
    assert 'No images of other: other no longer has the checkpoint of its best' in section
    assert '<img' not in section
    assert 'No images were requested.' in pictures(groups, 0)


def test_colours():
    image = coloured(np.array([[0, 255], [1, 1]], np.uint8), [(1, 2, 3), (4, 5, 6)], (4, 4))
    found = np.asarray(image.convert('RGBA'))
    assert found[0, 0].tolist() == [1, 2, 3, 255]
    assert found[3, 3].tolist() == [4, 5, 6, 255]
    assert found[0, 3, 3] == 0


def test_pictures(trained, monkeypatch, toy_data):
    """All groups predict the same images; scores are those of the validation."""
    groups = group_runs([read_run(folder, folder.name) for folder in trained])
    assert [group.name for group in groups] == ['warmup', 'mlcl{,_1}']
    found = {}
    predict = pictures_module.predict

    def keep(run, chosen):
        found[run.name] = predict(run, chosen)
        return found[run.name]

    monkeypatch.setattr(pictures_module, 'predict', keep)
    section = pictures(groups, 1)
    # 3 domains, best and worst, image and truth and two predictions
    assert section.count('<img') == 3 * 2 * 4
    assert section.count('data:image/jpeg') == 3 * 2
    for group in groups:
        for (domain, name), scene in found[group.first.name].items():
            chosen = scene.label != 255
            pairs = scene.label[chosen].astype(int) * 7 + scene.prediction[chosen]
            confusion = np.bincount(pairs, minlength=49).reshape(7, 7)
            score = group.first.best_record['images'][domain][name]
            found_score = 100 * iou(torch.from_numpy(confusion)).nanmean()
            assert found_score == pytest.approx(score, abs=0.01)
            assert f' {score:.1f}</figcaption>' in section
    scene = found['mlcl'][next(key for key in found['mlcl'] if key[0] == 'cityscapes')]
    assert scene.image.shape == (*scene.label.shape, 3) == (32, 64, 3)


def test_grid_points_reach_from_corner_to_corner():
    label = np.arange(12).reshape(3, 4)
    assert at_grid_points(label, (2, 2)).tolist() == [[0, 3], [8, 11]]
    assert at_grid_points(label, (3, 4)).tolist() == label.tolist()


def test_pseudo_labels_by_hand(tmp_path, trained):
    """Six pixels: one is not labelled; of the others three are right, and two of three kept."""
    domain = labelled_targets(read_run(trained[1], 'mlcl'))[-1]
    raw = np.array([[7, 7, 7], [23, 23, 0]], np.uint8)  # road, sky, unlabelled
    Image.fromarray(raw).save(tmp_path / 'label.png')
    certain, unsure = 0.99, 0.5
    hard = [[0, 0, 1], [4, 0, 4]]
    confidence = [[certain, unsure, certain], [certain, unsure, certain]]
    soft = torch.zeros(7, 2, 3)
    for y in range(2):
        for x in range(3):
            soft[:, y, x] = (1 - confidence[y][x]) / 6
            soft[hard[y][x], y, x] = confidence[y][x]
    selected = select_pseudo_label(soft[None], 0.0, 0.25, (2, 3))[0]
    write_pseudo_label(tmp_path / 'hard.png', soft.argmax(0), selected)
    found = measure(domain, [(tmp_path / 'hard.png', str(tmp_path / 'label.png'))])
    assert found['images'] == 1
    assert found['kept_share'] == pytest.approx(100 * 4 / 6)
    assert found['hard_accuracy'] == pytest.approx(100 * 3 / 5)
    assert found['kept_accuracy'] == pytest.approx(100 * 2 / 3)
    # flat 2 of 4, construction 0 of 1, sky 1 of 2; kept: flat 1 of 2, 0 of 1, sky 1 of 1
    assert found['hard_miou'] == pytest.approx(100 * (2 / 4 + 0 + 1 / 2) / 3)
    assert found['kept_miou'] == pytest.approx(100 * (1 / 2 + 0 + 1) / 3)


def test_pseudo_label_quality(trained, tmp_path):
    groups = group_runs([read_run(folder, folder.name) for folder in trained])
    found = quality(groups[1].first)
    assert list(found) == ['other_day', 'dusk', 'cityscapes']
    assert [list(each) for each in found.values()] == [[0, 2]] * 3
    assert [each[0]['images'] for each in found.values()] == [5, 3, 4]
    section = pseudo_label_quality(groups)
    assert 'compares the pseudo-labels with labels of the targets’ training images' in section
    assert section.count('<svg') == 3
    table = rows(section)
    assert len(table) == 1 + 3 * 2
    assert table[1][:4] == ['other_day', 'mlcl{,_1}', '0', '5']
    # both runs are the same here
    assert table[1][4] == f'{found["other_day"][0]["hard_accuracy"]:.2f} ± 0.00'


def test_without_the_data_that_is_told(trained, tmp_path):
    groups = group_runs([read_run(trained[1], 'mlcl')])
    for target in groups[0].first.config.train_dataloader.dataset.targets:
        target.data_root = str(tmp_path / 'gone')
    section = pseudo_label_quality(groups)
    assert 'No pseudo-labels of mlcl:' in section and 'does not exist' in section
    assert '<svg' not in section
