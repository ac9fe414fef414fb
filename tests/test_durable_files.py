"""Files are whole or not there, whatever happens."""

import errno
import multiprocessing
import os
import signal

import pytest

from mlcl_mmseg import durable_files
from mlcl_mmseg.durable_files import DurableBackend, locked_folder, write_durably
from mlcl_mmseg.errors import InputError


def test_written_with_the_permissions_of_other_files(tmp_path):
    (tmp_path / 'other').write_bytes(b'')
    write_durably(tmp_path / 'new' / 'x', b'content')
    assert (tmp_path / 'new' / 'x').read_bytes() == b'content'
    modes = {path.stat().st_mode for path in (tmp_path / 'other', tmp_path / 'new' / 'x')}
    assert len(modes) == 1


@pytest.mark.parametrize('name', ['fsync', 'replace', 'chmod'])
@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_an_error_leaves_the_old_file(tmp_path, monkeypatch, name, code):
    def fail(*args):
        raise OSError(code, os.strerror(code))

    path = tmp_path / 'x'
    write_durably(path, b'old')
    monkeypatch.setattr(os, name, fail)
    full = code != errno.EIO
    message = 'x could not be written, as the disk is full: make room and go on with --resume'
    with pytest.raises(InputError if full else OSError, match=message if full else 'error'):
        DurableBackend().put(b'new', path)
    assert [each.name for each in tmp_path.iterdir()] == ['x']
    assert path.read_bytes() == b'old'


@pytest.mark.skipif(os.geteuid() != 0, reason='mounting takes root')
def test_a_disk_that_is_really_full(tmp_path):
    disk = tmp_path / 'disk'
    disk.mkdir()
    if os.system(f'mount -t tmpfs -o size=64k tmpfs {disk} 2>/dev/null'):
        pytest.skip('nothing can be mounted here')
    try:
        write_durably(disk / 'x', b'old' * 1000)
        with pytest.raises(InputError, match='as the disk is full: make room'):
            write_durably(disk / 'x', b'new' * 100000)
        assert (disk / 'x').read_bytes() == b'old' * 1000
        assert len(list(disk.iterdir())) == 1
    finally:
        os.system(f'umount {disk}')


def test_what_a_kill_leaves_is_removed_by_the_next_owner(tmp_path):
    """It alone: neither whole files nor those of others, whatever their names."""
    kept = ['x', '.x', 'x.partial', '.lock', 'folder/.x.abc.partial']
    (tmp_path / 'folder').mkdir()
    for name in kept:
        (tmp_path / name).touch()
    process = multiprocessing.get_context('fork').Process(target=write_and_die, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (left,) = tmp_path.glob('.iter_2.pth.*')
    assert left.read_bytes() == b'content'
    with locked_folder(tmp_path):
        assert not left.exists()
    assert all((tmp_path / name).exists() for name in kept)


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
