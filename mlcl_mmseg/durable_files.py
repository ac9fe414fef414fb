"""Atomic writes: a file is written under a temporary name, flushed and then renamed."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from mmengine.fileio import LocalBackend, register_backend

from .errors import InputError

# errors if the disk is full or the user's quota is exceeded
FULL = (errno.ENOSPC, errno.EDQUOT)
LOCK = '.lock'
# suffix of a file that is being written; its name also begins with a dot
PARTIAL = '.partial'


@contextmanager
def full_disk_is_told(path: str | Path, remedy: str = 'continue with --resume') -> Iterator[None]:
    """Convert the error of a full disk to an InputError.

    Args:
        path (str | Path): The file that is being written.
        remedy (str): What the user can do once there is free space, for the message.

    Raises:
        InputError: If the disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise InputError(
            f'{path} could not be written because the disk is full: free some space and {remedy}.'
        ) from error


def write_durably(path: str | Path, content: bytes, remedy: str = 'continue with --resume') -> None:
    """Write a file such that a crash at any moment leaves either the complete old or new file.

    Args:
        path (str | Path): Path of the file. Its folder is created if it does not exist.
        content (bytes): The complete content.
        remedy (str): What the user can do once a full disk has free space, for the message.

    Raises:
        InputError: If the disk is full. The old file is then unchanged.
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
            # mkstemp creates files that only the user can read
            os.chmod(partial, 0o666 & ~current_umask())
            os.replace(partial, path)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise
        flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Flush the entries of a folder to disk, such as the new name of a renamed file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def current_umask() -> int:
    """Return the permission bits that new files do not get."""
    umask = os.umask(0)
    os.umask(umask)
    return umask


@register_backend('durable')
class DurableBackend(LocalBackend):
    """MMEngine's backend for local files, with atomic writes."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file atomically, see :func:`write_durably`."""
        write_durably(filepath, obj)


@contextmanager
def locked_folder(
    folder: str | Path, remedy: str = 'choose another --work-dir'
) -> Iterator[ExitStack]:
    """Lock a folder for this process until the block is left or the process ends in any way.

    Partial files of :func:`write_durably` that a killed process has left are removed.

    Args:
        folder (str | Path): The folder. It is created if it does not exist.
        remedy (str): What the user can do other than wait, for the message.

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
                f'{path} is a symbolic link, which no run creates: remove it, or {remedy}.'
            ) from error
        for partial in Path(folder).glob(f'.*{PARTIAL}'):
            partial.unlink()
        yield stack


def write_holder(descriptor: int) -> None:
    """Write the process that holds the lock into the lock file."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f'process {os.getpid()} on {os.uname().nodename}'.encode(), 0)
