"""Damaged polygon files of IDD: named, and no reason to stop."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcl_mmseg.errors import InputError

from .idd_frames import (
    EVERYWHERE,
    IDS,
    label_image,
    polygon,
    read,
    write_polygons,
)


def test_macos_files_are_left_out(tmp_path, convert_idd):
    path = write_polygons(tmp_path, polygon('road', EVERYWHERE))
    path.with_name(f'._{path.name}').write_bytes(b'\0\5\26\7Mac OS X')
    convert_idd(tmp_path)
    assert (read(label_image(tmp_path)) == IDS['road']).all()


def test_a_broken_file_does_not_stop_the_others(tmp_path, convert_idd, capsys):
    for number in range(5):
        write_polygons(tmp_path, polygon('road', EVERYWHERE), frame=f'0/{number}')
    broken = [label_image(tmp_path, frame=f'0/{n}') for n in (1, 3)]
    for path in broken:
        polygons = path.with_name(path.name.replace('labelids.png', 'polygons.json'))
        polygons.write_text('{', encoding='utf-8')
    with pytest.raises(InputError, match='2 of 5 polygon files failed, as listed above: replace'):
        convert_idd(tmp_path)
    out, err = capsys.readouterr()
    assert '3 label images are complete, 3 of them new' in out
    names = [Path(line.split(' ')[0]).name for line in err.splitlines()]
    assert names == ['1_gtFine_polygons.json', '3_gtFine_polygons.json']
    first = label_image(tmp_path, frame='0/0')
    before = first.stat().st_mtime_ns
    for number in (1, 3):
        write_polygons(tmp_path, polygon('sky', EVERYWHERE), frame=f'0/{number}')
    convert_idd(tmp_path)
    assert '5 label images are complete, 2 of them new' in capsys.readouterr().out
    assert first.stat().st_mtime_ns == before
    convert_idd(tmp_path, 2, '--overwrite')
    assert '5 label images are complete, 5 of them new' in capsys.readouterr().out


def test_what_is_skipped_is_counted(tmp_path, convert_idd, capsys):
    for number in range(2):
        write_polygons(
            tmp_path,
            polygon('car', EVERYWHERE, deleted=1),
            polygon('car', EVERYWHERE, deleted=True),
            polygon('sky', []),
            frame=f'0/{number}',
        )
    convert_idd(tmp_path)
    out = capsys.readouterr().out
    assert '4 deleted objects are not painted.' in out
    assert '2 polygons of fewer than 3 corners are not painted.' in out


def test_links_are_not_written_through(tmp_path, convert_idd):
    write_polygons(tmp_path, polygon('road', EVERYWHERE))
    label_image(tmp_path).symlink_to(tmp_path / 'nowhere')
    convert_idd(tmp_path)
    assert (read(label_image(tmp_path)) == IDS['road']).all()
    assert not (tmp_path / 'nowhere').exists()


def test_a_folder_in_place_of_a_label(tmp_path, convert_idd, capsys):
    for number in range(2):
        write_polygons(tmp_path, frame=f'0/{number}')
    label_image(tmp_path, frame='0/0').mkdir()
    with pytest.raises(InputError, match='1 of 2 polygon files failed'):
        convert_idd(tmp_path)
    assert 'Is a directory' in capsys.readouterr().err
    assert label_image(tmp_path, frame='0/1').is_file()


def test_a_full_disk_ends_it_at_once(tmp_path, convert_idd, monkeypatch):
    def full(*_):
        raise OSError(28, 'No space left on device')

    for number in range(3):
        write_polygons(tmp_path, frame=f'0/{number}')
    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(InputError, match='the disk is full: free some space and start again'):
        convert_idd(tmp_path)


def kill(_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker(tmp_path, idd_converter, monkeypatch):
    monkeypatch.setattr(idd_converter, 'convert', kill)
    with pytest.raises(InputError, match='A worker process was killed, .* with fewer --workers'):
        idd_converter.convert_all([write_polygons(tmp_path)], 1)


TRIANGLE = [[0, 0], [5, 0], [5, 5]]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(imgWidth=True), 'imgWidth: Input should be a valid integer'),
        (dict(imgWidth=8.0), 'imgWidth: Input should be a valid integer'),
        (dict(imgHeight='8'), 'imgHeight: Input should be a valid integer'),
        (dict(imgWidth=0), 'imgWidth: Input should be greater than 0'),
        (dict(imgWidth=20001), 'imgWidth: Input should be less than or equal to 20000'),
        (dict(objects={}), 'objects: Input should be a valid list'),
        (dict(objects=[1]), 'objects.0: '),
        (dict(objects=[polygon(5, TRIANGLE)]), 'objects.0.label: '),
        (dict(objects=[polygon('car', None)]), 'objects.0.polygon: '),
        (dict(objects=[polygon('car', [[0, 0, 0]] * 3)]), 'objects.0.polygon.0: '),
        (dict(objects=[polygon('car', [[True, 0]] * 3)]), 'objects.0.polygon.0.0: '),
        (dict(objects=[polygon('car', [['0', 0]] * 3)]), 'objects.0.polygon.0.0: '),
        (dict(objects=[polygon('car', [[10**400, 0]] * 3)]), '10000000000000000000 is too large'),
        (dict(objects=[polygon('car', [[1e15, 0]] * 3)]), 'objects.0.polygon.0.0: '),
        (dict(objects=[polygon('car', [[float('nan'), 0]] * 3)]), 'NaN is not a JSON number'),
        (dict(objects=[polygon('car', [[float('inf'), 0]] * 3)]), 'Infinity is not a JSON number'),
        (dict(objects=[polygon('car', TRIANGLE, deleted='0')]), 'objects.0.deleted.*: '),
        (dict(objects=[polygon('car', TRIANGLE, deleted=2)]), 'objects.0.deleted.*: '),
        (dict(objects=[polygon('car', TRIANGLE, deleted=None)]), 'objects.0.deleted.*: '),
    ],
)
def test_damaged_values_are_named(tmp_path, idd_converter, change, message):
    path = tmp_path / 'x_gtFine_polygons.json'
    path.write_text(json.dumps(dict(dict(imgWidth=8, imgHeight=8, objects=[]), **change)), 'utf-8')
    with pytest.raises(InputError, match=rf'x_gtFine_polygons\.json is damaged \({message}'):
        idd_converter.paint(path)


def test_numbers_past_a_float(tmp_path, idd_converter):
    path = tmp_path / 'x_gtFine_polygons.json'
    text = json.dumps(dict(imgWidth=8, imgHeight=8, objects=[polygon('car', TRIANGLE)]))
    path.write_text(text.replace('[5, 0]', '[1e400, 0]'), 'utf-8')
    with pytest.raises(InputError, match='1e400 is too large'):
        idd_converter.paint(path)


def test_an_unknown_label_is_named_whatever_its_polygon(tmp_path, idd_converter):
    path = write_polygons(tmp_path, polygon('dragon', []))
    with pytest.raises(InputError, match="has an object labelled 'dragon', which is not a label"):
        idd_converter.paint(path)


NUMBERS = st.integers(-10, 60) | st.floats() | st.booleans() | st.none() | st.text(max_size=2)
CORNERS = st.lists(st.lists(NUMBERS, max_size=3) | NUMBERS, max_size=5)
GOOD = st.lists(st.tuples(st.integers(-9, 60), st.floats(-9, 60)), max_size=6)
OBJECTS = st.fixed_dictionaries(
    {'label': st.sampled_from([*IDS, 'dragon', 'cargroup', 5]), 'polygon': GOOD | CORNERS},
    optional={'deleted': st.sampled_from([0, 1, True, False]) | NUMBERS, 'id': NUMBERS},
)
DOCUMENTS = st.fixed_dictionaries(
    {'imgWidth': st.integers(1, 40) | NUMBERS, 'imgHeight': st.integers(1, 40) | NUMBERS},
    optional={'objects': st.lists(OBJECTS, max_size=4) | NUMBERS},
)


@settings(max_examples=200, deadline=None)
@given(document=DOCUMENTS)
def test_any_document(document, idd_converter, tmp_path_factory):
    """A label image of known ids and the size that it says, or a sentence with its name."""
    path = tmp_path_factory.mktemp('any') / 'x_gtFine_polygons.json'
    path.write_text(json.dumps(document), 'utf-8')
    try:
        image = idd_converter.paint(path)
    except InputError as error:
        assert str(error).startswith(f'{path} ')
    else:
        assert image.size == (document['imgWidth'], document['imgHeight'])
        assert set(np.unique(image)) <= set(IDS.values())
