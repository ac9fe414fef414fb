"""Atomic writes: a file is written under a temporary name, flushed and then renamed."""

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from mmengine.fileio import LocalBackend, register_backend

from .errors import InputError

# errors if the disk is full or the user's quota is exceeded
FULL = (errno.ENOSPC, errno.EDQUOT)
# what the user can do about other errors of the file system
CAUSES = {
    errno.ENAMETOOLONG: 'shorten the name',
    errno.EROFS: 'choose a folder that can be written',
    errno.EACCES: 'choose a folder that can be written',
    errno.EISDIR: 'remove the folder of this name',
    errno.ENOTDIR: 'remove the file that has the name of a folder',
    errno.EMFILE: 'allow more open files (ulimit -n)',
}
LOCK = '.lock'
# what the name of a file begins with while it is being written, see writing_durably
PARTIAL = '.partial_'


@contextmanager
def write_errors_told(path: str | Path, remedy: str = 'continue with --resume') -> Iterator[None]:
    """Convert an error of the file system to an InputError.

    Args:
        path (str | Path): The file that is being written.
        remedy (str): What the user can do once the cause is removed, for the message.

    Raises:
        InputError: If the file cannot be written.
    """
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        if error.errno in FULL:
            raise InputError(
                f'{path} could not be written because the disk is full: free some space and '
                f'{remedy}.'
            ) from error
        cause = CAUSES.get(error.errno or 0, 'correct the cause')
        raise InputError(
            f'{path} could not be written ({error.strerror or error}): {cause} and {remedy}.'
        ) from error


def write_durably(path: str | Path, content: bytes, remedy: str = 'continue with --resume') -> None:
    """Write a file such that a crash at any moment leaves either the complete old or new file.

    Args:
        path (str | Path): Path of the file. Its folder is created if it does not exist. If it is a
            symbolic link, the link is replaced; the file that it leads to is not changed.
        content (bytes): The complete content.
        remedy (str): What the user can do once the cause of an error is removed, for the message.

    Raises:
        InputError: If the file cannot be written. The old file is then unchanged.
    """
    with writing_durably(path, remedy) as partial:
        partial.write_bytes(content)


@contextmanager
def writing_durably(path: str | Path, remedy: str = 'continue with --resume') -> Iterator[Path]:
    """Write a file under another name, which is renamed when it is complete.

    This is for libraries that write to a path; :func:`write_durably` is for bytes.

    Args:
        path (str | Path): See :func:`write_durably`.
        remedy (str): See :func:`write_durably`.

    Yields:
        Path: An empty file in the same folder with the same suffix. At the end of the block, it is
        flushed and gets its name. If the block raises an exception, it is removed.

    Raises:
        InputError: If the file cannot be written. The old file is then unchanged.
    """
    path = Path(path)
    with write_errors_told(path, remedy):
        path.parent.mkdir(parents=True, exist_ok=True)
        # not after the name of the file, which may already be as long as a name can be
        partial = path.with_name(f'{PARTIAL}{uuid.uuid4().hex}{path.suffix[:16]}')
        # O_EXCL: neither an existing file nor a link of this name is opened
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            yield partial
            with open(partial, 'rb+') as file:
                os.fsync(file.fileno())
            os.replace(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Flush the entries of a folder to disk, such as the new name of a renamed file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
        InputError: If another process has locked the folder, or its lock file is a symbolic link
            or not a file.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    path = Path(folder, LOCK)
    # a forked child, such as a loader's worker that outlives the run, does not inherit the lock
    lock = FileLock(path, blocking=False, fallback_to_soft=False, on_acquired=write_holder)
    with ExitStack() as stack:
        try:
            stack.enter_context(lock)
        except Timeout as error:
            holder = path.read_text('utf-8')
            raise InputError(
                f'{folder} is in use by another run ({holder}): wait for it, or {remedy}.'
            ) from error
        except OSError as error:
            if path.is_file() and not path.is_symlink():
                raise
            raise InputError(
                f'{path} is a symbolic link or not a file, which no run creates: remove it, or '
                f'{remedy}.'
            ) from error
        for partial in Path(folder).glob(f'{PARTIAL}*'):
            if not partial.is_dir():
                partial.unlink()
        yield stack


def write_holder(descriptor: int) -> None:
    """Write the process that holds the lock into the lock file."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f'process {os.getpid()} on {os.uname().nodename}'.encode(), 0)
