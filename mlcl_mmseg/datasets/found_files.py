"""Select the images and labels of a data set among the files that its folders have."""

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePath

from mmengine.logging import MMLogger

from ..errors import InputError, printable
from .image_files import count_suffixes, has_suffix

# files that systems create in folders of images
OF_SYSTEMS = ('thumbs.db', 'desktop.ini', 'icon\r')
# what this process has said
said: set[str] = set()


def visible(path: PurePath) -> bool:
    """Whether neither a file nor a folder of its relative path is hidden.

    Systems and editors create such files next to images, for example ``._a.png``,
    ``.DS_Store`` and ``.ipynb_checkpoints/a-checkpoint.png``.
    """
    return not any(part.startswith('.') for part in path.parts)


def select_images(
    files: Iterable[Path], suffixes: Sequence[str], folder: Path
) -> tuple[list[Path], list[Path]]:
    """Select the visible files with one of the suffixes, in upper or lower case.

    Args:
        files (Iterable[Path]): Paths relative to the folder, sorted.
        suffixes (Sequence[str]): The suffixes of images.
        folder (Path): The folder, for error messages.

    Returns:
        tuple[list[Path], list[Path]]: The images, and the other files.

    Raises:
        InputError: If the names of two images differ only in the suffix.
    """
    images, others = [], []
    owners: dict[str, Path] = {}
    for path in files:
        if not (visible(path) and has_suffix(path, suffixes)):
            others.append(path)
            continue
        images.append(path)
        stem = os.path.splitext(path)[0]
        other = owners.setdefault(stem, path)
        if other is not path:
            raise InputError(
                f'{folder / stem} exists in two formats: remove one of them ({other.suffix} or '
                f'{path.suffix}).'
            )
    return images, others


def match_labels(
    candidates: Sequence[Sequence[Path]], list_names: Callable[[Path], Iterable[str]]
) -> list[Path]:
    """Find the label of each image, whatever the case of its suffix.

    Args:
        candidates (Sequence[Sequence[Path]]): For each image, the paths that its label may have.
        list_names (Callable): Returns the names of the files in a folder; none if there is no
            such folder.

    Returns:
        list[Path]: The labels that were found. For a missing label, the first of its paths.

    Raises:
        InputError: If an image has two labels.
    """
    folders: dict[Path, dict[str, list[Path]]] = {}
    labels = []
    for paths in candidates:
        found = set()
        for path in paths:
            if path.parent not in folders:
                names = folders.setdefault(path.parent, defaultdict(list))
                for name in list_names(path.parent):
                    names[folded(name)].append(path.parent / name)
            found.update(folders[path.parent].get(folded(path.name), []))
        if len(found) > 1:
            first, second, *_ = sorted(found)
            raise InputError(
                f'{first} exists in two formats: remove one of them (the other is {second.name}).'
            )
        labels.append(found.pop() if found else paths[0])
    return labels


def folded(name: str | Path) -> str:
    """Return the name or the path of a file with its suffix in lower case."""
    stem, suffix = os.path.splitext(name)
    return stem + suffix.lower()


def names_in_folder(folder: Path) -> list[str]:
    """Return the names in a folder; none if there is no such folder.

    Raises:
        InputError: If the folder cannot be read.
    """
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(
            f'The folder {folder} cannot be read ({error.strerror}): correct its permissions or '
            'its name.'
        ) from error


def count_unread(folder: Path, files: Iterable[Path]) -> str:
    """Return a sentence that counts files of a folder that are not read; '' if there are none.

    Args:
        folder (Path): The folder.
        files (Iterable[Path]): Paths relative to the folder. Those that systems create are not
            counted.
    """
    unread = [path for path in files if visible(path) and path.name.lower() not in OF_SYSTEMS]
    if not unread:
        return ''
    number = f'{len(unread)} files of {folder} are'
    if len(unread) == 1:
        number = f'1 file of {folder} is'
    return f'{number} not read: {count_suffixes(unread)}.'


def say_once(sentence: str) -> None:
    """Log a warning, unless it is empty or this process has logged it before.

    The rehearsal logs errors only, so that nothing counts as said by it.
    """
    logger = MMLogger.get_current_instance()
    if sentence and sentence not in said and logger.isEnabledFor(logging.WARNING):
        said.add(sentence)
        logger.warning(printable(sentence))
