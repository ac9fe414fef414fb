"""A data set's copy at the working size, as ``tools/dataset_converters/prepare.py`` writes it.

It has the data set's own folders. Each file is an uncompressed BMP of the image or of the raw ids
of the label, as the pipeline's ``Resize`` leaves them, under its own name with ``.bmp`` behind it.
``prepared.json`` says what the copy was made of.
"""

import json
import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from mmcv.transforms import LoadImageFromFile, Resize

from ..errors import InputError, MissingFileError
from .transforms.labels import LoadRawLabel

MANIFEST = 'prepared.json'
SUFFIX = '.bmp'
# of the manifest
FORMAT = 1
PREPARE = 'python tools/dataset_converters/prepare.py CONFIG --out DIR'


class Loading(NamedTuple):
    """The first transforms of a pipeline, which decide what a copy holds.

    Attributes:
        size (tuple[int, int]): (width, height) to which they resize.
        transforms (str): How they load and resize images.
        steps (int): How many transforms they are.
        labelled (bool): Whether they load labels, where there are some.
    """

    size: tuple[int, int]
    transforms: str
    steps: int
    labelled: bool


def loading_of(pipeline: Callable) -> Loading | None:
    """How a pipeline begins.

    Args:
        pipeline (Callable): The transforms, composed.

    Returns:
        Loading: Of ``LoadImageFromFile``, perhaps ``LoadRawLabel``, and ``Resize`` to one size for
        all images. None if the pipeline begins otherwise or loads labels behind ``Resize``.
    """
    transforms = [*getattr(pipeline, 'transforms', ())]
    types = [type(each) for each in transforms]
    labelled = LoadRawLabel in types
    steps = 3 if labelled else 2
    if types[: steps - 1] != [LoadImageFromFile, LoadRawLabel][: steps - 1] or len(types) < steps:
        return None
    load, resize = transforms[0], transforms[steps - 1]
    # MMSegmentation's Resize is MMCV's for more kinds of labels
    if not isinstance(resize, Resize) or resize.keep_ratio or not resize.scale:
        return None
    return Loading(tuple(resize.scale), f'{load} {resize}', steps, labelled)


class CopiedFile(NamedTuple):
    """What a file of a copy was made of.

    Attributes:
        size (int): Of the original file, in bytes.
        time (int): When the original was last changed, in nanoseconds.
        digest (int): CRC-32 of the original file.
        copy_digest (int): CRC-32 of the copy.
    """

    size: int
    time: int
    digest: int
    copy_digest: int

    def is_current(self, path: str | Path) -> bool:
        """Whether the original has its size and time still, so that it need not be read."""
        try:
            state = os.stat(path)
        except OSError:
            return False
        return (state.st_size, state.st_mtime_ns) == (self.size, self.time)


def file_digest(path: str | Path) -> int:
    """CRC-32 of a file."""
    return zlib.crc32(Path(path).read_bytes())


def copy_path(path: str | Path) -> Path:
    """Where the copy of a file lies, given the place of the original's name in the copy."""
    return Path(f'{path}{SUFFIX}')


class PreparedCopy:
    """The manifest of a copy.

    Args:
        root (str | Path): The copy's folder.
        source (str): The full path of the data set's folder.
        size (tuple[int, int]): (width, height) of every file.
        transforms (str): See :class:`Loading`.
        files (dict[str, CopiedFile]): By the original's path below the data set's folder.
        complete (bool): Whether all files of the configs for which it was made are there.
    """

    def __init__(
        self,
        root: str | Path,
        source: str,
        size: tuple[int, int],
        transforms: str,
        files: dict[str, CopiedFile],
        complete: bool,
    ) -> None:
        self.root = Path(root)
        self.source = source
        self.size = size
        self.transforms = transforms
        self.files = files
        self.complete = complete

    @classmethod
    def read(cls, root: str | Path) -> 'PreparedCopy | None':
        """Read the manifest of a folder.

        Returns:
            PreparedCopy: None if the folder is no copy.

        Raises:
            InputError: If the manifest cannot be understood.
        """
        path = Path(root, MANIFEST)
        try:
            content = json.loads(path.read_bytes())
            if content.pop('format') != FORMAT:
                raise ValueError('another format')
            width, height = map(int, content['size'])
            files = {name: CopiedFile(*map(int, each)) for name, each in content['files'].items()}
            return cls(
                root,
                str(content['source']),
                (width, height),
                str(content['transforms']),
                files,
                bool(content['complete']),
            )
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise InputError(
                f'{path} cannot be understood ({error}): remove {root} and run {PREPARE} again.'
            ) from error

    def content(self) -> bytes:
        """The manifest, as it is written."""
        return json.dumps(
            dict(
                format=FORMAT,
                source=self.source,
                size=self.size,
                transforms=self.transforms,
                complete=self.complete,
                files=self.files,
            )
        ).encode()

    @property
    def has_source(self) -> bool:
        """Whether the data set is there, so that the copy can be compared with it."""
        # a mount point without its disk is an empty folder
        return Path(self.source).is_dir() and any(Path(self.source).iterdir())

    def name(self, path: str | Path) -> str:
        """The path below the copy's folder."""
        return Path(path).relative_to(self.root).as_posix()

    def names_in(self, folder: Path) -> list[Path]:
        """The originals that have a copy somewhere in a folder, relative to it."""
        below = '' if folder == self.root else f'{self.name(folder)}/'
        return [Path(name[len(below) :]) for name in self.files if name.startswith(below)]

    def require_files(self, labels: Sequence[Path]) -> None:
        """Check that the copy has labels.

        Args:
            labels (Sequence[Path]): Where they would lie if the copy had the originals' names.

        Raises:
            MissingFileError: If it has not.
        """
        missing = [label for label in labels if self.name(label) not in self.files]
        if missing:
            raise MissingFileError(
                f'{self.root} has no copies of {len(missing)} of {len(labels)} label images, the '
                f'first is {missing[0]}: run {PREPARE} with a CONFIG that reads them.'
            )

    def replace_files(self, data_list: Sequence[dict]) -> None:
        """Let records of a data set name the copies instead of the originals.

        Args:
            data_list (Sequence[dict]): The records; each gets ``original_sizes``, the sizes in
                bytes of the original image and, if there is one, label.

        Raises:
            InputError: If an original is there and has changed.
        """
        compare = self.has_source
        for data_info in data_list:
            data_info['original_sizes'] = []
            for key in ('img_path', 'seg_map_path'):
                if key in data_info:
                    name = self.name(data_info[key])
                    record = self.files.get(name)
                    if compare and record and not record.is_current(Path(self.source, name)):
                        raise InputError(self.stale(f'{Path(self.source, name)} has changed'))
                    data_info['original_sizes'].append(record and record.size)
                    data_info[key] = str(copy_path(data_info[key]))

    def check_complete(self) -> None:
        """Check that the copy is complete.

        Raises:
            InputError: If it is not.
        """
        if not self.complete:
            raise InputError(
                f'{self.root} is incomplete: {PREPARE} is still running or was interrupted, run '
                'it again.'
            )

    def stale(self, reason: str) -> str:
        """The sentence about a copy that is older than its data set."""
        return (
            f'{reason} since {self.root} was prepared: run {PREPARE} again with MLCL_DATA_ROOT of '
            'the originals.'
        )

    def check_content(self, path: str | Path) -> None:
        """Check that a copied file is what was written.

        Raises:
            InputError: If it is damaged.
        """
        record = self.files.get(self.name(path).removesuffix(SUFFIX))
        try:
            whole = record is not None and file_digest(path) == record.copy_digest
        except OSError:
            whole = False
        if not whole:
            raise InputError(f'{path} is damaged: run {PREPARE} again.')

    def check_pipeline(self, pipeline: Callable) -> None:
        """Check that a pipeline gives the same samples as from the original files.

        Raises:
            InputError: If it loads or resizes otherwise than the copy was made, or needs labels at
                their full resolution.
        """
        transforms = getattr(pipeline, 'transforms', ())
        if not transforms:
            return
        loading, size = loading_of(pipeline), '{}x{}'.format(*self.size)
        if loading is None:
            raise InputError(
                f'{self.root} is a copy whose images and labels are {size}, but the pipeline '
                f'{[type(each).__name__ for each in transforms]} does not resize both before '
                f'anything else: read the original data by MLCL_DATA_ROOT, such as {self.source}.'
            )
        if loading.transforms != self.transforms:
            raise InputError(
                f'{self.root} is a copy at {size} that was made by {self.transforms}, but the '
                f'pipeline has {loading.transforms}: run {PREPARE} for another folder, or read '
                f'the original data by MLCL_DATA_ROOT, such as {self.source}.'
            )
