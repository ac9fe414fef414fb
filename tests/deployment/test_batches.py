"""A damaged image among many: the rest is predicted, and a later run goes on."""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mlcl_mmseg.deployment.inputs import find_images
from mlcl_mmseg.deployment.pictures import Style, predict_images, write_picture
from mlcl_mmseg.deployment.predictor import Prediction
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.labels import label_space

from .conftest import SMALL_MLCL

STYLE = Style(label_space(7).palette)
FAILED = 'failed, as listed above: correct these files and start again with --skip-existing'


@pytest.fixture
def folder(tmp_path):
    """Nine images; 1, 2 and 5 cannot be read, and 7 is too deep."""
    (tmp_path / 'd').mkdir()
    for number in range(9):
        pixels = np.random.default_rng(number).integers(0, 255, (20, 30, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f'd/{number}.jpg')
    content = (tmp_path / 'd/1.jpg').read_bytes()
    (tmp_path / 'd/1.jpg').write_bytes(content[: len(content) // 2])
    (tmp_path / 'd/2.jpg').write_bytes(b'')
    (tmp_path / 'd/5.jpg').unlink()
    os.mkfifo(tmp_path / 'd/5.jpg')
    Image.new('I;16', (30, 20)).save(tmp_path / 'd/7.jpg', 'PNG')
    return tmp_path


def written(folder):
    return sorted(path.stem for path in (folder / 'o/index').iterdir())


@pytest.mark.parametrize('batch_size', [1, 4])
def test_the_rest_is_predicted(folder, predictor, batch_size, capsys):
    """The same as without the damaged images, whichever images share a batch with them."""
    found = find_images([str(folder / 'd')])
    with pytest.raises(InputError, match=f'4 of 9 images {FAILED}'):
        predict_images(predictor, found, folder / 'o', STYLE, batch_size)
    assert written(folder) == ['0', '3', '4', '6', '8']
    for number, line in zip((1, 2, 5, 7), capsys.readouterr().err.splitlines(), strict=True):
        assert f'{number}.jpg ' in line
    for name in written(folder):
        (alone,) = predictor.stream([found[name]])
        index = np.asarray(Image.open(folder / f'o/index/{name}.png'))
        assert (index == alone.index).mean() > 0.999


def test_going_on(folder, run_tool, checkpoint, capsys):
    """What is there is kept; an image whose prediction is incomplete is completed."""
    command = [SMALL_MLCL, checkpoint, folder / 'd', '--out', folder / 'o']
    with pytest.raises(InputError, match=f'4 of 9 images {FAILED}'):
        run_tool('predict.py', *command)
    (folder / 'o/overlay/3.png').unlink()
    (folder / 'o/index/4.png').write_bytes(b'mine')
    before = {path: path.stat().st_mtime_ns for path in folder.glob('o/*/*')}
    for number in (1, 2, 5, 7):
        (folder / f'd/{number}.jpg').unlink()
        Image.new('RGB', (30, 20)).save(folder / f'd/{number}.jpg')
    with pytest.raises(InputError, match='already: choose .* --overwrite or --skip-existing'):
        run_tool('predict.py', *command)
    run_tool('predict.py', *command, '--skip-existing')
    assert 'o: overlay, index of 5 images, 4 existed already.' in capsys.readouterr().out
    assert before.items() <= {p: p.stat().st_mtime_ns for p in folder.glob('o/*/*')}.items()
    assert len(list(folder.glob('o/*/*'))) == 18
    run_tool('predict.py', *command, '--skip-existing')
    assert 'index of 0 images, 9 existed already.' in capsys.readouterr().out


class Echo:
    """Reads images of one size by itself and stops at the first damaged one."""

    def stream(self, images, batch_size):
        for path in images:
            content = path.read_bytes()
            if content == b'bad':
                raise InputError(f'{path} is damaged.')
            yield Prediction(
                np.zeros((2, 2, 3), np.uint8), np.full((2, 2), int(content), np.uint8), 0
            )


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(damaged=st.lists(st.booleans(), min_size=1, max_size=30))
def test_any_pattern_of_damage(damaged, tmp_path_factory):
    folder = tmp_path_factory.mktemp('pattern')
    images = {}
    for number, is_damaged in enumerate(damaged):
        images[str(number)] = folder / str(number)
        images[str(number)].write_text('bad' if is_damaged else str(number), encoding='utf-8')
    style = Style(tuple((number, 0, 0) for number in range(30)))
    if any(damaged):
        with pytest.raises(InputError, match=f'{sum(damaged)} of {len(damaged)} images failed'):
            predict_images(Echo(), images, folder / 'o', style)
    else:
        assert predict_images(Echo(), images, folder / 'o', style) == len(damaged)
    for number, is_damaged in enumerate(damaged):
        path = folder / f'o/index/{number}.png'
        assert path.exists() != is_damaged
        if not is_damaged:
            assert (np.asarray(Image.open(path)) == number).all()


def test_names_that_are_too_long(tmp_path, predictor, capsys):
    """A suffix is replaced, so that names as long as can be fit; without one they do not."""
    names = {'x' * 251 + '.jpg': 'x' * 251 + '.png', '街' * 82 + '.png': '街' * 82 + '.png'}
    for name in (*names, 'y' * 255):
        Image.new('RGB', (30, 20)).save(tmp_path / name, 'PNG')
    found = find_images([str(tmp_path / name) for name in ('y' * 255, *names)])
    with pytest.raises(InputError, match='1 of 3 images failed'):
        predict_images(predictor, found, tmp_path / 'o', STYLE)
    assert set(os.listdir(tmp_path / 'o/index')) == set(names.values())
    assert 'could not be written (File name too long): shorten the name' in capsys.readouterr().err


def test_a_full_disk_ends_it_at_once(tmp_path, predictor, images, monkeypatch):
    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(InputError, match='the disk is full: free some space and start again with'):
        predict_images(predictor, find_images([str(images)]), tmp_path, STYLE)
    assert not [path for path in tmp_path.rglob('*') if path.is_file()]


def test_links_are_replaced_not_followed(tmp_path, predictor, images):
    (tmp_path / 'precious').write_text('precious', encoding='utf-8')
    (tmp_path / 'index').mkdir()
    for name, target in {'c': 'precious', 'north/d': 'nowhere'}.items():
        (tmp_path / f'index/{name}.png').parent.mkdir(exist_ok=True)
        (tmp_path / f'index/{name}.png').symlink_to(tmp_path / target)
    found = find_images([str(images / 'town')])
    with pytest.raises(InputError, match=r'index/c.png and 1 more exist already'):
        predict_images(predictor, found, tmp_path, STYLE)
    predict_images(predictor, found, tmp_path, STYLE, overwrite=True)
    assert not (tmp_path / 'index/c.png').is_symlink()
    assert (tmp_path / 'precious').read_text('utf-8') == 'precious'
    assert not (tmp_path / 'nowhere').exists()


# a part of a path: any characters that a file system accepts, also bytes that are not UTF-8
PARTS = (
    st.binary(min_size=1, max_size=300)
    .map(lambda name: os.fsdecode(name.replace(b'/', b'').replace(b'\0', b'')))
    .filter(lambda name: name not in ('', '.', '..'))
)


@settings(max_examples=60, deadline=None)
@given(name=PARTS)
def test_any_name_is_written_or_named(name, tmp_path_factory):
    path = tmp_path_factory.mktemp('o') / f'{name}.png'
    try:
        write_picture(path, np.zeros((2, 2), np.uint8))
    except InputError as error:
        assert len(os.fsencode(path.name)) > 255
        assert '\n' not in str(error)
    else:
        assert os.listdir(path.parent) == [path.name]
