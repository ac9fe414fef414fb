"""Read files and folders that others have made: regular files only, and each folder once."""

import errno
import os
import stat
from pathlib import Path

from .errors import InputError, MissingFileError

# the default remedy for a file that cannot be read
REPLACE = 'replace the file'
KINDS = {
    stat.S_ISDIR: 'folder',
    stat.S_ISFIFO: 'named pipe',
    stat.S_ISSOCK: 'socket',
    stat.S_ISCHR: 'device',
    stat.S_ISBLK: 'device',
}


def check_regular_file(path: str | Path, remedy: str = REPLACE) -> None:
    """Check that a path is a regular file, or a link to one.

    Opening a named pipe waits for ever, and a device may have no end.

    Args:
        path (str | Path): The path.
        remedy (str): What the user can do, for the error message.

    Raises:
        MissingFileError: If there is no file at this path, or only a broken link.
        InputError: If it is something else, such as a folder, a named pipe or a device.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        why = 'it is a broken link' if os.path.islink(path) else 'it does not exist'
        raise MissingFileError(f'{path} cannot be read ({why}): {remedy}.') from error
    except OSError as error:
        raise InputError(f'{path} cannot be read ({error.strerror}): {remedy}.') from error
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in KINDS.items() if test(mode)), 'special file')
        raise InputError(f'{path} is a {kind}, not a file: {remedy}.')


def read_file(path: str | Path, largest: int, remedy: str = REPLACE) -> bytes:
    """Read a whole regular file.

    Args:
        path (str | Path): The file.
        largest (int): The largest size in bytes that is read.
        remedy (str): What the user can do if it cannot be read, for the error message.

    Raises:
        MissingFileError: If the file does not exist.
        InputError: If it cannot be read, is not a regular file, or is larger.
    """
    check_regular_file(path, remedy)
    try:
        with open(path, 'rb') as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise InputError(f'{path} cannot be read ({error.strerror}): {remedy}.') from error
    if len(content) > largest:
        raise InputError(f'{path} has more than {largest} bytes: {remedy}.')
    return content


def leads_to_folder(entry: os.DirEntry) -> bool:
    """Whether an entry of a folder is a folder, or a link to one; a link to itself is not."""
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return False


def find_files(folder: str | Path) -> list[Path]:
    """List everything under a folder that is not a folder.

    Links to folders are followed, but each folder is visited only once, under its own path if it
    has one below ``folder``. A link that leads back, or two links to one folder, therefore neither
    repeats files nor makes the search endless.

    Args:
        folder (str | Path): The folder.

    Returns:
        list[Path]: Paths relative to the folder, sorted. Named pipes, devices, broken links
        and links to themselves are among them.

    Raises:
        InputError: If a folder cannot be read.
    """
    root, seen = os.fspath(folder), set()
    found: list[str] = []
    # paths relative to the root; '' is the root itself
    folders, links = [''], list[str]()
    while folders or links:
        # links last, so that a folder is visited under its own path
        inner = folders.pop() if folders else links.pop(0)
        current = os.path.join(root, inner) if inner else root
        try:
            status = os.stat(current)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(current) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    path = os.path.join(inner, entry.name)
                    if not leads_to_folder(entry):
                        found.append(path)
                    elif entry.is_symlink():
                        links.append(path)
                    else:
                        folders.append(path)
        except OSError as error:
            raise InputError(
                f'The folder {current} cannot be read ({error.strerror}): correct its permissions '
                'or remove it.'
            ) from error
    # as paths are sorted, part by part
    return [Path(path) for path in sorted(found, key=lambda path: path.split(os.sep))]
