"""The label images of IDD from its polygons."""

import subprocess
import sys

import numpy as np
import pytest
from mmseg.registry import DATASETS
from PIL import Image, ImageDraw

from mlcl_mmseg.errors import InputError

from .idd_frames import (
    CONVERTER,
    EVERYWHERE,
    HEIGHT,
    IDS,
    LEFT,
    WIDTH,
    label_image,
    polygon,
    read,
    write_polygons,
)


def test_command_line(tmp_path):
    """In processes of its own, and what it makes is what the data set reads."""
    for split in ('train', 'val'):
        for frame in ('0/005506', '119/903127'):
            write_polygons(tmp_path, polygon('sky', EVERYWHERE), split=split, frame=frame)
            image = tmp_path / 'leftImg8bit' / split / f'{frame}_leftImg8bit.png'
            image.parent.mkdir(parents=True, exist_ok=True)
            Image.new('RGB', (WIDTH, HEIGHT)).save(image)
    command = [sys.executable, str(CONVERTER), str(tmp_path), '--workers', '2']
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert '4 label images are complete' in result.stdout
    assert len(list(tmp_path.rglob('*_labelids.png'))) == 4
    for role in ('source', 'validation'):
        config = dict(type='IDDDomain', data_root=tmp_path, num_classes=7, role=role)
        pipeline = [dict(type='LoadAnnotations'), dict(type='MapLabels')]
        for sample in DATASETS.build(dict(config, pipeline=pipeline)):
            np.testing.assert_array_equal(sample['gt_seg_map'], np.full((HEIGHT, WIDTH), 4))


def test_objects_are_painted_in_order_over_unlabeled(tmp_path, convert_idd):
    objects = [
        ('road', [[5, 3], [30, 4], [25, 18]]),
        ('car', [[10.4, 6.7], [20.2, 6.1], [20.9, 15.5], [9.8, 15.1]]),
        ('obs-str-bar-fallback', [[0, 0], [3, 0], [3, 3]]),
    ]
    write_polygons(tmp_path, *(polygon(*item, deleted=0, id=1) for item in objects))
    convert_idd(tmp_path)
    expected = Image.new('L', (WIDTH, HEIGHT), 35)
    for label, corners in objects:
        ImageDraw.Draw(expected).polygon([tuple(corner) for corner in corners], fill=IDS[label])
    ids = read(label_image(tmp_path))
    np.testing.assert_array_equal(ids, expected)
    assert set(np.unique(ids)) == {0, 12, 28, 35}
    assert ids[10, 15] == IDS['car'], 'the later object lies on top'


@pytest.mark.parametrize('label', list(IDS))
def test_every_label_gets_its_id(tmp_path, idd_converter, label):
    path = write_polygons(tmp_path, polygon(label, LEFT))
    ids = np.asarray(idd_converter.paint(path))
    assert (ids[:, :10] == IDS[label]).all() and (ids[:, 10:] == 35).all()


def test_skipped_objects(tmp_path, convert_idd):
    write_polygons(
        tmp_path,
        polygon('road', EVERYWHERE),
        polygon('car', EVERYWHERE, deleted=1),
        polygon('no such label', EVERYWHERE, deleted=1),
        polygon('sky', [[0, 0], [WIDTH, HEIGHT]]),
        polygon('sky', []),
    )
    convert_idd(tmp_path)
    assert (read(label_image(tmp_path)) == IDS['road']).all()


@pytest.mark.parametrize(
    ('label', 'meaning'), [('cargroup', 'car'), ('polegroup', 'polegroup'), ('pole', 'pole')]
)
def test_groups(tmp_path, convert_idd, label, meaning):
    write_polygons(tmp_path, polygon(label, EVERYWHERE))
    convert_idd(tmp_path)
    assert (read(label_image(tmp_path)) == IDS[meaning]).all()


@pytest.mark.parametrize('label', ['tuk-tuk', 'tuk-tukgroup', 'Car', 'group'])
def test_unknown_label(tmp_path, convert_idd, label, capsys):
    path = write_polygons(tmp_path, polygon(label, EVERYWHERE))
    with pytest.raises(InputError, match='1 of 1 polygon files failed, as listed above: replace'):
        convert_idd(tmp_path)
    assert (
        f'{path} has an object labelled {label!r}, which is not a label of IDD: download it again.'
    ) in capsys.readouterr().err
    assert not label_image(tmp_path).exists()


def test_broken_file(tmp_path, convert_idd, capsys):
    path = write_polygons(tmp_path)
    path.write_text(path.read_text('utf-8')[:-10], encoding='utf-8')
    with pytest.raises(InputError, match='1 of 1 polygon files failed'):
        convert_idd(tmp_path)
    assert f'{path} is damaged (' in capsys.readouterr().err


def test_incomplete_file(tmp_path, convert_idd, capsys):
    polygons = tmp_path / 'gtFine/train/0/005506_gtFine_polygons.json'
    polygons.parent.mkdir(parents=True)
    polygons.write_text('{"imgHeight": 4, "imgWidth": 6}', encoding='utf-8')
    with pytest.raises(InputError, match='1 of 1 polygon files failed'):
        convert_idd(tmp_path)
    assert f'{polygons} is damaged (objects: Field required): download' in capsys.readouterr().err


@pytest.mark.parametrize('folder', ['', 'gtFine', 'gtFine/train/0'])
def test_no_polygons(tmp_path, convert_idd, folder):
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    with pytest.raises(InputError, match=r'has no gtFine/<split>/<drive>/\*_gtFine_polygons\.json'):
        convert_idd(tmp_path)


def test_finished_files_are_skipped(tmp_path, convert_idd, capsys):
    write_polygons(tmp_path, polygon('road', EVERYWHERE))
    convert_idd(tmp_path)
    finished = label_image(tmp_path)
    finished.write_bytes(b'as it was')
    write_polygons(tmp_path, polygon('sky', EVERYWHERE), frame='0/000002')
    convert_idd(tmp_path)
    assert finished.read_bytes() == b'as it was'
    assert (read(label_image(tmp_path, frame='0/000002')) == IDS['sky']).all()
    assert '2 label images are complete, 1 of them new' in capsys.readouterr().out


def test_killed_run_leaves_no_half_file(tmp_path, convert_idd, monkeypatch):
    write_polygons(tmp_path, polygon('road', EVERYWHERE))

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr('os.replace', interrupted)
        with pytest.raises(KeyboardInterrupt):
            convert_idd(tmp_path)
    assert not list(tmp_path.rglob('*.png'))

    convert_idd(tmp_path)
    assert (read(label_image(tmp_path)) == IDS['road']).all()
    assert len(list(label_image(tmp_path).parent.iterdir())) == 2, 'something was left behind'


def test_folders_may_be_links(tmp_path, convert_idd):
    write_polygons(tmp_path / 'disk', polygon('road', EVERYWHERE))
    root = tmp_path / 'idd'
    root.mkdir()
    (root / 'gtFine').symlink_to(tmp_path / 'disk' / 'gtFine', target_is_directory=True)
    convert_idd(root)
    assert (read(label_image(root)) == IDS['road']).all()
