"""Folders and files that others have made."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcl_mmseg.errors import InputError, MissingFileError, printable, sentence_of
from mlcl_mmseg.untrusted_files import check_regular_file, find_files, read_file

FOLDERS = ['a', 'a/b', 'c']


@settings(deadline=None, max_examples=60)
@given(
    links=st.lists(st.tuples(st.sampled_from([*FOLDERS, '.']), st.sampled_from([*FOLDERS, '.'])))
)
def test_each_real_folder_is_visited_once_whatever_links_there_are(tmp_path_factory, links):
    """Under its own path, however the links are named."""
    root = tmp_path_factory.mktemp('root')
    for folder in FOLDERS:
        (root / folder).mkdir()
        (root / folder / 'x.png').touch()
    for number, (place, target) in enumerate(links):
        (root / place / f'{"0z"[number % 2]}{number}').symlink_to((root / target).absolute())
    assert [str(path) for path in find_files(root)] == ['a/b/x.png', 'a/x.png', 'c/x.png']


def test_a_folder_elsewhere_is_visited_once_by_two_links(tmp_path):
    (tmp_path / 'disk').mkdir()
    (tmp_path / 'disk/x').touch()
    (tmp_path / 'root').mkdir()
    for name in 'ab':
        (tmp_path / 'root' / name).symlink_to(tmp_path / 'disk')
    assert [str(path) for path in find_files(tmp_path / 'root')] == ['a/x']


def test_what_is_no_file_is_refused_by_its_kind(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'link').symlink_to('pipe')
    (tmp_path / 'broken').symlink_to('nowhere')
    (tmp_path / 'itself').symlink_to('itself')
    assert [str(path) for path in find_files(tmp_path)] == ['broken', 'itself', 'link', 'pipe']
    for name, message in {
        'pipe': 'pipe is a named pipe, not a file: replace the file',
        'link': 'link is a named pipe',
        'itself': r'itself cannot be read \(Too many levels of symbolic links\)',
        'broken': r'broken cannot be read \(it is a broken link\)',
        '.': 'is a folder, not a file',
        'x' * 300: 'cannot be read .File name too long.',
    }.items():
        with pytest.raises(InputError, match=message):
            check_regular_file(tmp_path / name)
    with pytest.raises(InputError, match='/dev/zero is a device'):
        read_file('/dev/zero', 10)
    with pytest.raises(MissingFileError, match='gone cannot be read .it does not exist.: go home'):
        read_file(tmp_path / 'gone', 10, 'go home')


def test_a_file_larger_than_expected_is_not_read(tmp_path):
    (tmp_path / 'x').write_bytes(b'12345')
    assert read_file(tmp_path / 'x', 5) == b'12345'
    with pytest.raises(InputError, match='x has more than 4 bytes'):
        read_file(tmp_path / 'x', 4)


@given(st.text())
def test_a_message_is_one_printable_line_whatever_a_name_is(name):
    text = str(InputError(f'{name} is wrong: go.'))
    assert text.isprintable() and text.endswith(' is wrong: go.')
    assert sentence_of(InputError(f'{name} is wrong: go.')).isprintable()


def test_ordinary_names_stay_as_they_are():
    assert printable('straße 街 (1).png') == 'straße 街 (1).png'
    assert printable('a\nb\x1b[31m\udcdf') == r'a\nb\x1b[31m\udcdf'
