"""A copy of a data set at the working size, written by ``tools/dataset_converters/prepare.py``.

It has the same folders as the data set. Each file is an uncompressed BMP of the image or of the
raw ids of the label, as ``Resize`` of the pipeline returns them. Its name is the original name
followed by ``.bmp``. ``prepared.json`` is the manifest of the copy and describes the originals.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from mmcv.transforms import LoadImageFromFile, Resize

from ..errors import InputError, MissingFileError
from ..json_records import read_record
from .prepared_manifest import FORMAT, MANIFEST, CopiedFile, Manifest, file_digest
from .transforms.labels import LoadRawLabel

SUFFIX = '.bmp'
PREPARE = 'python tools/dataset_converters/prepare.py CONFIG --out DIR'


class Loading(NamedTuple):
    """The first transforms of a pipeline, which determine the contents of a copy.

    Attributes:
        size (tuple[int, int]): (width, height) to which they resize.
        transforms (str): A description of how they load and resize images.
        steps (int): Number of these transforms.
        labelled (bool): Whether they load labels.
    """

    size: tuple[int, int]
    transforms: str
    steps: int
    labelled: bool


def loading_of(pipeline: Callable) -> Loading | None:
    """Return how a pipeline loads and resizes.

    Args:
        pipeline (Callable): The transforms, composed.

    Returns:
        Loading: The first transforms: ``LoadImageFromFile``, optionally ``LoadRawLabel``, and
        ``Resize`` to one size for all images. None if the pipeline begins with other transforms
        or loads labels after ``Resize``.
    """
    transforms = [*getattr(pipeline, 'transforms', ())]
    types = [type(each) for each in transforms]
    labelled = LoadRawLabel in types
    steps = 3 if labelled else 2
    if types[: steps - 1] != [LoadImageFromFile, LoadRawLabel][: steps - 1] or len(types) < steps:
        return None
    load, resize = transforms[0], transforms[steps - 1]
    # MMSegmentation's Resize is a subclass of MMCV's
    if not isinstance(resize, Resize) or resize.keep_ratio or not resize.scale:
        return None
    return Loading(tuple(resize.scale), f'{load} {resize}', steps, labelled)


def copy_path(path: str | Path) -> Path:
    """Return the path of a copied file, given its path without the suffix of copies."""
    return Path(f'{path}{SUFFIX}')


class PreparedCopy:
    """The manifest of a prepared copy.

    Args:
        root (str | Path): The folder of the copy.
        source (str): The absolute path of the data set.
        size (tuple[int, int]): (width, height) of every image and label.
        transforms (str): See :class:`Loading`.
        files (dict[str, CopiedFile]): The copied files, by the path of the original relative to
            the data set.
        complete (bool): Whether the copy has all files of the configs for which it was made.
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
            PreparedCopy: The manifest, or None if the folder is not a prepared copy.

        Raises:
            InputError: If the manifest is invalid.
        """
        try:
            manifest = read_record(
                Path(root, MANIFEST), Manifest, f'remove {root} and run {PREPARE} again'
            )
        except MissingFileError:
            return None
        return cls(
            root,
            manifest.source,
            manifest.size,
            manifest.transforms,
            manifest.files,
            manifest.complete,
        )

    def content(self) -> bytes:
        """Return the manifest as JSON."""
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
        """Whether the original data set exists, so that the copy can be compared with it."""
        # a mount point without its disk is an empty folder
        return Path(self.source).is_dir() and any(Path(self.source).iterdir())

    def name(self, path: str | Path) -> str:
        """Return a path relative to the folder of the copy."""
        return Path(path).relative_to(self.root).as_posix()

    def names_in(self, folder: Path) -> list[Path]:
        """Return the originals that have a copy under a folder, relative to that folder."""
        below = '' if folder == self.root else f'{self.name(folder)}/'
        return [Path(name[len(below) :]) for name in self.files if name.startswith(below)]

    def names_by_folder(self) -> dict[Path, list[str]]:
        """Return the names of the originals that have a copy, by their folder in the copy."""
        folders: dict[Path, list[str]] = defaultdict(list)
        for name in self.files:
            path = self.root / name
            folders[path.parent].append(path.name)
        return folders

    def require_files(self, labels: Sequence[Path]) -> None:
        """Check that the copy has all of these labels.

        Args:
            labels (Sequence[Path]): Paths of the labels in the copy, without the suffix of copies.

        Raises:
            MissingFileError: If a label is missing.
        """
        missing = [label for label in labels if self.name(label) not in self.files]
        if missing:
            raise MissingFileError(
                f'{self.root} has no copies of {len(missing)} of {len(labels)} label images, the '
                f'first is {missing[0]}: run {PREPARE} with a CONFIG that reads them.'
            )

    def replace_files(self, data_list: Sequence[dict]) -> None:
        """Replace the paths of originals by the paths of copies in the records of a data set.

        Args:
            data_list (Sequence[dict]): The records, which are changed in place. Each gets
                ``original_sizes``, the sizes in bytes of the original image and, if there is one,
                of the original label.

        Raises:
            InputError: If an original exists and has changed.
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

    def original_digest(self, path: str | Path) -> int | None:
        """Return the CRC-32 of the original of a copied file; None if the copy is not known."""
        record = self.files.get(self.name(path).removesuffix(SUFFIX))
        return None if record is None else record.digest

    def check_complete(self) -> None:
        """Check that the copy is complete.

        Raises:
            InputError: If it is incomplete.
        """
        if not self.complete:
            raise InputError(
                f'{self.root} is incomplete: {PREPARE} is still running, was interrupted or could '
                'not read all files, run it again.'
            )

    def stale(self, reason: str) -> str:
        """Return the error message for a copy that is out of date.

        Args:
            reason (str): What has changed in the data set.
        """
        return (
            f'{reason} since {self.root} was prepared: set MLCL_DATA_ROOT to the originals and run '
            f'{PREPARE} again.'
        )

    def check_content(self, path: str | Path) -> None:
        """Check that a copied file is undamaged.

        Raises:
            InputError: If it is damaged.
        """
        record = self.files.get(self.name(path).removesuffix(SUFFIX))
        remedy = f'run {PREPARE} again'
        if record is None or file_digest(path, remedy) != record.copy_digest:
            raise InputError(f'{path} is damaged: {remedy}.')

    def check_pipeline(self, pipeline: Callable) -> None:
        """Check that a pipeline returns the same samples for the copy as for the originals.

        Raises:
            InputError: If the pipeline loads or resizes differently than the transforms by which
                the copy was made, or needs labels at full resolution.
        """
        transforms = getattr(pipeline, 'transforms', ())
        if not transforms:
            return
        loading, size = loading_of(pipeline), '{}x{}'.format(*self.size)
        if loading is None:
            raise InputError(
                f'{self.root} is a copy with images and labels of {size}, but the pipeline '
                f'{[type(each).__name__ for each in transforms]} does not resize both first: set '
                f'MLCL_DATA_ROOT to the original data, such as {self.source}.'
            )
        if loading.transforms != self.transforms:
            raise InputError(
                f'{self.root} is a copy of size {size} that was made by {self.transforms}, but the '
                f'pipeline has {loading.transforms}: run {PREPARE} with another folder, or set '
                f'MLCL_DATA_ROOT to the original data, such as {self.source}.'
            )
