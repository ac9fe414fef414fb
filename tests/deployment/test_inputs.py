"""Which files are predicted, whatever their names and links are."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mlcl_mmseg.deployment.inputs import find_images
from mlcl_mmseg.errors import InputError, MissingFileError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def draw(path, kind='PNG'):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', (4, 4)).save(path, kind)


def test_what_is_not_read_is_counted(folder, capsys):
    for name, kind in {
        'a.PNG': 'PNG',
        'b.jfif': 'JPEG',
        'x/c.ppm': 'PPM',
        'd.jp2': 'JPEG2000',
    }.items():
        draw(folder / 'd' / name, kind)
    assert set(find_images(['d'])) == {'a', 'b', 'x/c', 'd'}
    assert capsys.readouterr().err == ''
    for name in ('e.heic', 'x/f.HEIC', 'g.mp4', '._a.png', 'x/h.gif'):
        (folder / 'd' / name).touch()
    assert set(find_images(['d'])) == {'a', 'b', 'x/c', 'd'}
    text = 'd: 5 files are not read: 2 .heic, 1 .mp4, 1 .gif, 1 hidden.\n'
    assert sorted(capsys.readouterr().err) == sorted(text)


def test_files_are_opened_by_content(folder):
    """If they are named, not if they are found in a folder."""
    draw(folder / 'd/photograph.mp4')
    draw(folder / 'd/animated.gif', 'GIF')
    assert set(find_images(['d/photograph.mp4', 'd/animated.gif'])) == {'photograph', 'animated'}
    with pytest.raises(MissingFileError, match='d is not an image, not a folder with images'):
        find_images(['d'])


def test_each_folder_is_searched_once(folder):
    draw(folder / 'd/x/a.png')
    for link in ('one', 'two'):
        (folder / 'd' / link).symlink_to('.')
        (folder / 'd/x' / link).symlink_to('..')
    for source in ('d', 'd/**/*.png', '**/*.png', 'd/**', 'd/**/a.*', '*/**/x/**/a.png'):
        assert len(find_images([source])) == 1, source


def test_one_file_under_two_names_is_predicted_once(folder):
    draw(folder / 'd/a.png')
    assert list(find_images(['d', 'd/a.png', 'd/../d/a.png'])) == ['a']


def test_patterns_do_not_match_hidden_files(folder):
    for name in ('a.png', '.b.png', '.x/c.png', 'x/d.png'):
        draw(folder / 'd' / name)
    assert set(find_images(['d/**/*.png'])) == {'a', 'x/d'}
    assert set(find_images(['d/**/.*.png', 'd/a.png'])) == {'.b', 'a'}


def test_damaged_files_are_left_to_the_prediction(folder):
    draw(folder / 'd/a.png')
    (folder / 'd/b.png').touch()
    (folder / 'd/c.png').symlink_to('nowhere')
    os.mkfifo(folder / 'd/e.png')
    assert set(find_images(['d'])) == {'a', 'b', 'c', 'e'}
    for name, reason in {
        'b.png': 'cannot be read',
        'c.png': 'it is a broken link',
        'e.png': 'is a named pipe',
    }.items():
        with pytest.raises(InputError, match=f'{name}.*{reason}'):
            find_images([f'd/{name}'])


@pytest.mark.parametrize('source', ['x' * 300, 'nothing/**/*.png', '[z-a]*', 'd\n', '', '\udcff'])
def test_sources_without_images(folder, source):
    with pytest.raises(MissingFileError, match='is not an image, not a folder with images') as told:
        find_images([source])
    assert '\n' not in str(told.value)


# parts of paths: any bytes except a slash and zero, and what patterns and shells read
NAMES = st.binary(min_size=1, max_size=40).filter(lambda name: not set(name) & {0, ord('/')})
ODD = st.sampled_from([b'-rf', b'[0-9]', b'*', b'?', b'{x}', b'**', b'%03d', b'a:b', b'a\nb', b' '])


@settings(max_examples=60, deadline=None)
@given(names=st.lists(NAMES | ODD, min_size=1, max_size=3, unique=True), data=st.data())
def test_any_names(names, data, tmp_path_factory):
    """In folders and named directly, each image has a prediction of its own below the output."""
    root = tmp_path_factory.mktemp('names')
    inside = os.fsencode(root) + b'/' + data.draw(ODD)
    os.makedirs(inside)
    paths = [os.fsdecode(inside + b'/x' + name + b'.png') for name in names]
    for path in paths:
        Image.new('RGB', (4, 4)).save(path)
    for sources in ([os.fsdecode(inside)], paths):
        found = find_images(sources)
        assert {os.fspath(path) for path in found.values()} == set(paths)
        assert all('..' not in name.split('/') for name in found)
