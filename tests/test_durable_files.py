"""Files are whole or not there, whatever happens."""

import errno
import multiprocessing
import os
import signal

import pytest

from mlcl_mmseg import durable_files
from mlcl_mmseg.durable_files import DurableBackend, locked_folder, write_durably
from mlcl_mmseg.errors import InputError

FORK = multiprocessing.get_context('fork')


def test_written_with_the_permissions_of_other_files(tmp_path):
    (tmp_path / 'other').write_bytes(b'')
    write_durably(tmp_path / 'new' / 'x', b'content')
    assert (tmp_path / 'new' / 'x').read_bytes() == b'content'
    modes = {path.stat().st_mode for path in (tmp_path / 'other', tmp_path / 'new' / 'x')}
    assert len(modes) == 1


@pytest.mark.parametrize('name', ['fsync', 'replace'])
@pytest.mark.parametrize(
    ('code', 'message'),
    [
        (errno.ENOSPC, 'because the disk is full: free some space and continue'),
        (errno.EDQUOT, 'because the disk is full: free some space and continue'),
        (errno.EIO, '.Input/output error.: correct the cause and continue'),
        (errno.EROFS, '.Read-only file system.: choose a folder that can be written and'),
    ],
)
def test_an_error_leaves_the_old_file(tmp_path, monkeypatch, name, code, message):
    def fail(*args):
        raise OSError(code, os.strerror(code))

    path = tmp_path / 'x'
    write_durably(path, b'old')
    monkeypatch.setattr(os, name, fail)
    with pytest.raises(InputError, match=f'x could not be written {message}'):
        DurableBackend().put(b'new', path)
    assert [each.name for each in tmp_path.iterdir()] == ['x']
    assert path.read_bytes() == b'old'


@pytest.mark.parametrize('letter', ['a', '街'])
def test_names_of_any_length_are_written_or_refused(tmp_path, letter):
    """Names have at most 255 bytes."""
    name = letter * (255 // len(letter.encode()))
    write_durably(tmp_path / name, b'content')
    assert (tmp_path / name).read_bytes() == b'content'
    with pytest.raises(InputError, match=r'.File name too long.: shorten the name and retry'):
        write_durably(tmp_path / f'{name}{letter}', b'content', 'retry')


def test_a_link_is_replaced_and_what_it_leads_to_is_kept(tmp_path):
    (tmp_path / 'precious').write_text('precious')
    (tmp_path / 'x').symlink_to('precious')
    write_durably(tmp_path / 'x', b'new')
    assert (tmp_path / 'precious').read_text() == 'precious'
    assert (tmp_path / 'x').read_bytes() == b'new' and not (tmp_path / 'x').is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason='mounting takes root')
def test_a_disk_that_is_really_full(tmp_path):
    disk = tmp_path / 'disk'
    disk.mkdir()
    if os.system(f'mount -t tmpfs -o size=64k tmpfs {disk} 2>/dev/null'):
        pytest.skip('nothing can be mounted here')
    try:
        write_durably(disk / 'x', b'old' * 1000)
        with pytest.raises(InputError, match='because the disk is full: free some'):
            write_durably(disk / 'x', b'new' * 100000)
        assert (disk / 'x').read_bytes() == b'old' * 1000
        assert len(list(disk.iterdir())) == 1
    finally:
        os.system(f'umount {disk}')


def test_what_a_kill_leaves_is_removed_by_the_next_owner(tmp_path):
    """It alone: neither whole files nor those of others, whatever their names."""
    kept = ['x', '.x', 'x.partial', '.lock', 'folder/.partial_x']
    (tmp_path / 'folder').mkdir()
    (tmp_path / '.partial_folder').mkdir()
    for name in kept:
        (tmp_path / name).touch()
    process = FORK.Process(target=write_and_die, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (left,) = tmp_path.glob('.partial_*.pth')
    assert left.read_bytes() == b'content'
    with locked_folder(tmp_path):
        assert not left.exists()
    assert all((tmp_path / name).exists() for name in kept)


def test_a_locked_folder_names_its_holder_and_is_free_afterwards(tmp_path):
    """As on a cluster, where the holder may be on another host."""
    holder = f'.process {os.getpid()} on {os.uname().nodename}.'
    with locked_folder(tmp_path) as lock:
        with pytest.raises(InputError, match=f'in use by another run {holder}: wait for it, or go'):
            locked_folder(tmp_path, 'go').__enter__()
        lock.close()
        with locked_folder(tmp_path):
            pass
    with locked_folder(tmp_path):
        pass


def test_a_worker_that_outlives_a_killed_run_does_not_keep_the_folder(tmp_path):
    run = FORK.Process(target=fork_and_die, args=(tmp_path,))
    run.start()
    run.join()
    assert run.exitcode == -signal.SIGKILL
    worker = int((tmp_path / 'worker').read_text())
    # it lives
    os.kill(worker, 0)
    try:
        with locked_folder(tmp_path):
            pass
    finally:
        os.kill(worker, signal.SIGKILL)


def fork_and_die(folder):
    with locked_folder(folder):
        worker = os.fork()
        if not worker:
            signal.pause()
        (folder / 'worker').write_text(str(worker))
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize('make', [os.mkfifo, os.mkdir])
def test_what_is_no_file_in_place_of_the_lock_file_is_refused(tmp_path, make):
    make(tmp_path / '.lock')
    with pytest.raises(InputError, match='lock is a symbolic link or not a file, which no run'):
        locked_folder(tmp_path).__enter__()


def test_a_link_in_place_of_the_lock_file_is_refused(tmp_path):
    """The file that it leads to is as it was."""
    (tmp_path / 'precious').write_text('precious')
    (tmp_path / '.lock').symlink_to('precious')
    with pytest.raises(
        InputError, match='lock is a symbolic link or not a file, which no run creates: remove'
    ):
        locked_folder(tmp_path).__enter__()
    assert (tmp_path / 'precious').read_text() == 'precious'


def write_and_die(folder):
    os.replace = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
    write_durably(folder / 'iter_2.pth', b'content')


def test_what_is_written_is_flushed_before_it_has_its_name(tmp_path, monkeypatch):
    order = []
    for name in ('fsync', 'replace'):
        original = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *args, name=name, call=original: (order.append(name), call(*args))
        )
    write_durably(tmp_path / 'x', b'content')
    assert order == ['fsync', 'replace', 'fsync']
    assert durable_files.FULL
