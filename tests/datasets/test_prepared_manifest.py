"""The manifest of a prepared copy is read by its form, and what it names stays in its folder."""

import json
import os

import pytest
from PIL import Image

from mlcl_mmseg.datasets import prepare
from mlcl_mmseg.datasets.prepared_copy import PreparedCopy
from mlcl_mmseg.datasets.prepared_manifest import file_digest
from mlcl_mmseg.errors import InputError, MissingFileError

from .conftest import build_domain

RECORD = [10, 20, 30, 40]
MANIFEST = dict(
    format=1,
    source='/data/own',
    size=[32, 16],
    transforms='Resize',
    complete=True,
    files={'images/a.png': RECORD},
)


def write(root, **changes):
    text = json.dumps({**MANIFEST, **changes})
    (root / 'prepared.json').write_text(text, encoding='utf-8')


def test_a_right_one(tmp_path):
    write(tmp_path, files={'images/a\udcdf\n.png': RECORD})
    copy = PreparedCopy.read(tmp_path)
    assert (copy.source, copy.size, copy.complete) == ('/data/own', (32, 16), True)
    assert copy.files == {'images/a\udcdf\n.png': tuple(RECORD)}
    (tmp_path / 'prepared.json').write_bytes(copy.content())
    assert PreparedCopy.read(tmp_path).files == copy.files


LIES = [
    *(dict(size=size) for size in ([0, 16], [-32, 16], [10**30, 5], ['32', '16'], [True, True])),
    *(dict(size=size) for size in ([32.0, 16], [1, 2, 3], '99', [float('nan'), 1], None)),
    *(dict(format=value) for value in (2, True, '1')),
    *(dict(complete=value) for value in ('false', 1)),
    *(dict(files={name: RECORD}) for name in ('/etc/hostname', '../a', 'a/../../b', '', 'a\0b')),
    *(dict(files={'a.png': value}) for value in ([-1, 1, 1, 1], [True] * 4, [10**40] * 4, [1, 2])),
    *(dict(source=5), dict(transforms=None), dict(files=[]), dict(more=1)),
]


@pytest.mark.parametrize('lie', LIES, ids=str)
def test_a_wrong_one(tmp_path, lie):
    write(tmp_path, **lie)
    with pytest.raises(InputError, match='prepared.json is damaged .*: remove .* and run python'):
        PreparedCopy.read(tmp_path)


def test_one_without_a_field(tmp_path):
    (tmp_path / 'prepared.json').write_text('{"format": 1}', encoding='utf-8')
    with pytest.raises(InputError, match='prepared.json is damaged .source: Field required'):
        PreparedCopy.read(tmp_path)


def test_special_files(tmp_path):
    os.mkfifo(tmp_path / 'prepared.json')
    with pytest.raises(InputError, match='prepared.json is a named pipe, not a file'):
        PreparedCopy.read(tmp_path)
    with pytest.raises(InputError, match='zero is a device, not a file'):
        file_digest('/dev/zero')
    with pytest.raises(MissingFileError, match='it does not exist'):
        file_digest(tmp_path / 'nothing')


def test_no_file_outside_is_removed(config, tmp_path):
    """An original that is gone has its copy removed, but a name cannot lead elsewhere."""
    out = tmp_path / 'copies'
    prepare.prepare_config(config, out, num_workers=0)
    (tmp_path / 'precious.bmp').write_bytes(b'precious')
    path = out / 'gta5/prepared.json'
    content = json.loads(path.read_bytes())
    content['files']['../../precious'] = RECORD
    path.write_text(json.dumps(content), encoding='utf-8')
    for read in (
        lambda: prepare.prepare_config(config, out, num_workers=0),
        lambda: build_domain('gta5', out / 'gta5', 'source'),
    ):
        with pytest.raises(InputError, match='prepared.json is damaged'):
            read()
    assert (tmp_path / 'precious.bmp').is_file()


@pytest.mark.parametrize('name', ['images', 'images/00009.png.bmp'])
def test_links_in_a_copy(config, tmp_path, name):
    """Nothing is written or removed through them."""
    out, other = tmp_path / 'copies', tmp_path / 'other'
    prepare.prepare_config(config, out, num_workers=0)
    other.mkdir()
    (other / '.partial_x').write_bytes(b'precious')
    link = out / 'gta5' / name
    if link.exists():
        link.rename(tmp_path / 'moved')
    link.symlink_to(other)
    with pytest.raises(InputError, match=f'{name} is a symbolic link, which no copy contains'):
        prepare.prepare_config(config, out, num_workers=0)
    assert [path.name for path in other.iterdir()] == ['.partial_x']


def test_a_name_that_is_too_long_for_a_copy(config, tmp_path):
    """The others are copied, and it is told."""
    for folder in ('images', 'labels'):
        for length in (251, 252):
            name = f'{"x" * (length - 4)}.png'
            (tmp_path / 'gta5' / folder / name).hardlink_to(tmp_path / f'gta5/{folder}/00001.png')
    done = prepare.prepare_config(config, tmp_path / 'copies', num_workers=0)
    (failure,) = done.failures
    assert 'would have a name of 256 bytes, but at most 255 are possible: shorten' in failure
    assert [each.made for each in done.copies] == [4, 6, 6]
    assert len(list((tmp_path / 'copies/gta5/images').iterdir())) == 4


def test_an_image_of_16_bits_is_not_copied(config, tmp_path):
    """Resized to 8 bits, most of its values would be white."""
    path = tmp_path / 'idd/leftImg8bit/train/0/024541_leftImg8bit.png'
    Image.new('I;16', (48, 24), 1000).save(path)
    (failure,) = prepare.prepare_config(config, tmp_path / 'copies', num_workers=0).failures
    assert failure.startswith(f'{path} has mode I;16, but images must have 8 bits')
