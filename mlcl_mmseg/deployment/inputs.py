"""Images to predict, with the names of their predictions."""

import glob
import os
import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from ..datasets.image_files import IMAGE_SUFFIXES, count_suffixes, has_suffix, open_image
from ..errors import InputError, MissingFileError, printable
from ..untrusted_files import find_files

RECURSIVE = '**'


def find_images(sources: Sequence[str]) -> dict[str, Path]:
    """Find image files and name their predictions.

    Files that are named directly are images whatever their suffix. In folders, images are found by
    their suffix; how many other files a folder contains is printed to standard error.

    Args:
        sources (Sequence[str]): Files, folders (which are searched recursively), or patterns of
            :mod:`glob`, where ``**`` is allowed.

    Returns:
        dict[str, Path]: The files by the names of their predictions. A name is the path of the
        file without its suffix, relative to the folder; if ``sources`` is not a single folder, it
        is relative to the deepest folder that contains all files. Some of the files may be
        damaged, but not all of them.

    Raises:
        MissingFileError: If there is no image.
        InputError: If no file can be opened as an image, or if two files would get the same name.
    """
    files = [file for source in sources for file in expand(source)]
    if not files:
        raise MissingFileError(
            f'{" ".join(sources)} is not an image, not a folder with images and not a pattern '
            f'that matches images ({", ".join(IMAGE_SUFFIXES)}): correct the path.'
        )
    root = sources[0]
    if len(sources) > 1 or not os.path.isdir(root):
        root = os.path.commonpath([os.path.abspath(file.parent) for file in files])
    images: dict[str, Path] = {}
    for file in files:
        name = os.path.splitext(os.path.relpath(file, root))[0]
        other = images.setdefault(name, file)
        if other != file and os.path.realpath(other) != os.path.realpath(file):
            raise InputError(
                f'The predictions of {images[name]} and {file} would get the same name: rename '
                'one file, or predict it into another --out.'
            )
    check_any(files)
    return images


def check_any(files: Iterable[Path]) -> None:
    """Check that at least one file is an image; the others may fail when they are predicted.

    Raises:
        InputError: The error of the first file, if none can be opened.
    """
    errors = []
    for file in files:
        try:
            open_image(file, load=False)
            return
        except InputError as error:
            errors.append(error)
    raise errors[0]


def expand(source: str) -> list[Path]:
    """The files of a file, folder or pattern, sorted; of a folder, only the images."""
    if os.path.isdir(source):
        return images_in(Path(source))
    if os.path.lexists(source):
        return [Path(source)]
    return sorted(path for path in map(Path, matches(source)) if not path.is_dir())


def images_in(folder: Path) -> list[Path]:
    """The images of a folder by suffix; the other files are counted on standard error."""
    files = find_files(folder)
    images = [file for file in files if has_suffix(file, IMAGE_SUFFIXES)]
    others = [file for file in files if not has_suffix(file, IMAGE_SUFFIXES)]
    if others:
        hidden = [file for file in others if file.name.startswith('.')]
        counts = [count_suffixes(file for file in others if not file.name.startswith('.'))]
        if hidden:
            counts.append(f'{len(hidden)} hidden')
        text = '1 file is' if len(others) == 1 else f'{len(others)} files are'
        print(
            f'{printable(folder)}: {text} not read: {", ".join(filter(None, counts))}.',
            file=sys.stderr,
        )
    return [folder / image for image in images]


def matches(pattern: str) -> list[str]:
    """The paths that match a pattern of :mod:`glob`; each folder is searched only once.

    Python's own search for ``**`` follows links that lead back, which may never end.
    """
    parts = Path(pattern).parts
    if RECURSIVE not in parts:
        return glob.glob(pattern)
    place = parts.index(RECURSIVE)
    roots = glob.glob(os.path.join(*parts[:place])) if place else [os.curdir]
    return [
        os.path.join(root, file)
        for root in filter(os.path.isdir, roots)
        for file in find_files(root)
        if is_match(file.parts, parts[place:])
    ]


def is_match(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path match the parts of a pattern, in which ``**`` is any folders."""
    if not pattern:
        return not path
    first, *rest = pattern
    if first == RECURSIVE:
        visible = next((k for k, part in enumerate(path) if part.startswith('.')), len(path))
        return any(is_match(path[place:], rest) for place in range(visible + 1))
    return (
        bool(path)
        and fnmatchcase(path[0], first)
        and (first.startswith('.') or not path[0].startswith('.'))
        and is_match(path[1:], rest)
    )
