"""Files that are whole or not there: written aside, flushed, renamed."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from mmengine.fileio import LocalBackend, register_backend

from .errors import InputError

# a disk, or the user's share of it, is full
FULL = (errno.ENOSPC, errno.EDQUOT)
LOCK = '.lock'
# how the name of a file ends that is being written, and begins with a dot
PARTIAL = '.partial'


@contextmanager
def full_disk_is_told(path: str | Path, remedy: str = 'go on with --resume') -> Iterator[None]:
    """Turn the error of a full disk into a sentence.

    Args:
        path (str | Path): What is being written.
        remedy (str): What to do when there is room.

    Raises:
        InputError: If the disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise InputError(
            f'{path} could not be written, as the disk is full: make room and {remedy}.'
        ) from error


def write_durably(path: str | Path, content: bytes, remedy: str = 'go on with --resume') -> None:
    """Write a file so that a crash at any moment leaves the old one or the new one, whole.

    Args:
        path (str | Path): The file; its folder is made if need be.
        content (bytes): All of it.
        remedy (str): What to do when a full disk has room again.

    Raises:
        InputError: If the disk is full; the old file is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with full_disk_is_told(path, remedy):
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.', suffix=PARTIAL)
        try:
            with open(handle, 'wb') as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            # mkstemp gives it to the user alone
            os.chmod(partial, 0o666 & ~current_umask())
            os.replace(partial, path)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise
        flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Flush what a folder lists, such as a file that was renamed in it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def current_umask() -> int:
    """The permissions that new files do not get."""
    umask = os.umask(0)
    os.umask(umask)
    return umask


@register_backend('durable')
class DurableBackend(LocalBackend):
    """MMEngine's local files, of which each is written durably."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file, see :func:`write_durably`."""
        write_durably(filepath, obj)


@contextmanager
def locked_folder(
    folder: str | Path, remedy: str = 'choose another --work-dir'
) -> Iterator[ExitStack]:
    """Lock a folder for this process until the block is left or the process ends, however it ends.

    Partial files that :func:`write_durably` was writing when a process was killed are removed.

    Args:
        folder (str | Path): It is created if it does not exist.
        remedy (str): What the user can do other than wait.

    Yields:
        ExitStack: Closing it releases the folder earlier.

    Raises:
        InputError: If another process has locked the folder, or its lock file is a symbolic link.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    path = Path(folder, LOCK)
    # a forked child, such as a loader's worker that outlives the run, does not inherit the lock
    lock = FileLock(path, blocking=False, fallback_to_soft=False, on_acquired=write_holder)
    with ExitStack() as stack:
        try:
            stack.enter_context(lock)
        except Timeout as error:
            raise InputError(
                f'{folder} is in use by another run ({path.read_text()}): wait for it, or {remedy}.'
            ) from error
        except OSError as error:
            if not path.is_symlink():
                raise
            raise InputError(
                f'{path} is a symbolic link, which no run makes: remove it, or {remedy}.'
            ) from error
        for partial in Path(folder).glob(f'.*{PARTIAL}'):
            partial.unlink()
        yield stack


def write_holder(descriptor: int) -> None:
    """Write into a lock file who holds the lock."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f'process {os.getpid()} on {os.uname().nodename}'.encode(), 0)
