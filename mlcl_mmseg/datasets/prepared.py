"""Images and labels that are read at the working size, prepared once, instead of resized each time.

A preparation stands for the first transforms of a pipeline and gives what they give, to the bit.
It lies in ``prepared`` beside the data set's folder, or in the folder that the environment variable
MLCL_PREPARED_ROOT names (empty: none is read), by data set and working size, and is read wherever
it is found. Files are told apart by path below the data set's folder, size and time of the last
change, so that all configs and roles share them.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mmcv.transforms import Compose, LoadImageFromFile, Resize

from ..errors import InputError
from .prepared_files import REMEDY, PreparedFiles, Record
from .transforms.labels import LoadRawLabel

ROOT = 'MLCL_PREPARED_ROOT'


class Loading(NamedTuple):
    """The first transforms of a pipeline, for which a preparation can stand.

    Attributes:
        size (tuple[int, int]): (width, height) to which they resize.
        labelled (bool): Whether they load labels, where there are some.
        steps (int): How many transforms they are.
    """

    size: tuple[int, int]
    labelled: bool
    steps: int


def loading_of(pipeline: Callable) -> Loading | None:
    """How a pipeline begins; None unless it is as configs/_base_/datasets/domains_7.py has it.

    Args:
        pipeline (Callable): The transforms, composed.

    Returns:
        Loading: Of ``LoadImageFromFile``, perhaps ``LoadRawLabel``, and ``Resize`` by Pillow.
    """
    transforms = [*getattr(pipeline, 'transforms', ())[:3]]
    labelled = len(transforms) > 1 and type(transforms[1]) is LoadRawLabel
    steps = 3 if labelled else 2
    if len(transforms) < steps:
        return None
    load, resize = transforms[0], transforms[steps - 1]
    # MMSegmentation's Resize is MMCV's for more kinds of labels
    if type(load) is not LoadImageFromFile or not isinstance(resize, Resize):
        return None
    if (load.imdecode_backend, load.color_type, load.to_float32, load.ignore_empty) != (
        *('pillow', 'color_ignore_orientation', False, False),
    ):
        return None
    if (type(resize).__name__, resize.backend, resize.interpolation, resize.keep_ratio) != (
        *('Resize', 'pillow', 'bilinear', False),
    ):
        return None
    return Loading(tuple(resize.scale), labelled, steps) if resize.scale else None


def prepared_root(data_root: str | Path) -> Path | None:
    """The folder of all preparations of the data sets that lie where this one does."""
    root = os.environ.get(ROOT)
    if root is None:
        return Path(os.path.abspath(data_root)).parent / 'prepared'
    return Path(root) if root else None


class Preparation:
    """The images and labels of a data set at one working size.

    Args:
        root (Path): The folder of all preparations.
        data_root (str | Path): The data set's folder.
        size (tuple[int, int]): (width, height).
    """

    def __init__(self, root: Path, data_root: str | Path, size: tuple[int, int]) -> None:
        self.data_root = os.path.abspath(data_root)
        self.size = size
        self.folder = root / os.path.basename(self.data_root) / '{}x{}'.format(*size)
        self.images = PreparedFiles(self.folder / 'images', (*size[::-1], 3))
        self.labels = PreparedFiles(self.folder / 'labels', size[::-1])

    @property
    def files(self) -> tuple[PreparedFiles, PreparedFiles]:
        """Images and labels."""
        return self.images, self.labels

    def name(self, path: str) -> str:
        """What a file of the data set is called here."""
        return os.path.relpath(path, self.data_root)

    def add_records(self, data_list: list[dict], labelled: bool) -> int:
        """Tell the data set's records of images where they are prepared.

        Args:
            data_list (list[dict]): Of :meth:`DomainDataset.load_data_list`. Those whose image, and
                label if they have one and ``labelled``, are prepared get ``prepared``.
            labelled (bool): Whether labels are read.

        Returns:
            int: How many did.

        Raises:
            InputError: If one was prepared and has changed since, or a manifest is damaged.
        """
        images = self.images.records()
        labels = self.labels.records() if labelled and images else {}
        count = 0
        for data_info in data_list:
            records = [self.find(images, data_info['img_path'])]
            if labelled and 'seg_map_path' in data_info:
                records.append(self.find(labels, data_info['seg_map_path']))
            if None not in records:
                data_info['prepared'] = records
                count += 1
        return count

    def find(self, records: dict[str, Record], path: str) -> Record | None:
        """The record of a file.

        Raises:
            InputError: If the file has changed since.
        """
        record = records.get(self.name(path))
        if record is not None and not record.is_made_of(path):
            raise InputError(f'{path} has changed since {self.folder} was prepared: {REMEDY}.')
        return record

    def load(self, data_info: dict, labelled: bool) -> dict:
        """Add what the transforms that load and resize add.

        Args:
            data_info (dict): Of an image that is prepared.
            labelled (bool): Whether its label is wanted, if it has one.

        Returns:
            dict: The same, for the transforms that follow.

        Raises:
            InputError: If the pixels are damaged.
        """
        image, *label = data_info['prepared']
        width, height = self.size
        data_info.update(
            img=self.images.read(image, data_info['img_path']),
            img_shape=(height, width),
            ori_shape=(image.height, image.width),
            scale=self.size,
            scale_factor=(width / image.width, height / image.height),
            keep_ratio=False,
        )
        if label and labelled:
            data_info['gt_seg_map'] = self.labels.read(label[0], data_info['seg_map_path'])
            data_info['seg_fields'].append('gt_seg_map')
        return data_info

    def run(self, pipeline: Compose, data_info: dict) -> dict:
        """Run a pipeline, its first transforms replaced if they are prepared for this image."""
        loading = loading_of(pipeline)
        if 'prepared' not in data_info or loading is None or loading.size != self.size:
            return pipeline(data_info)
        if loading.labelled and 'seg_map_path' in data_info and len(data_info['prepared']) < 2:
            return pipeline(data_info)
        data_info = self.load(data_info, loading.labelled)
        return type(pipeline)(pipeline.transforms[loading.steps :])(data_info)
