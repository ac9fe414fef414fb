"""What the data sets of all domains share: roles, files, label mapping."""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmseg.datasets import BaseSegDataset
from PIL import Image

from ..errors import InputError, MissingFileError
from ..labels import IGNORE_INDEX, label_space, lookup_table, raw_label_map
from .image_files import check_depth, open_image
from .prepared import Preparation, loading_of, prepared_root
from .prepared_files import PREPARE

ROLES = ('source', 'target', 'validation')
# Pillow's names of 8-bit greyscale and palette images, whose pixels are ids as they are stored
LABEL_MODES = ('L', 'P')


class DomainDataset(BaseSegDataset):
    """Images of one domain in the 7- or 19-class space, in one of three roles.

    A source trains with labels, a target trains without (its label folder is never looked at and
    need not exist), a validation set is evaluated with labels. A subclass says where images and
    labels lie: :meth:`image_folder`, :meth:`label_path`.

    Args:
        data_root (str): The data set's folder as downloaded.
        num_classes (int): 7 or 19.
        role (str): 'source', 'target' or 'validation'.
        split (str, optional): Which part of the data set to read. Defaults to the training part
            for a source or target, the validation part for a validation set.
        domain (str, optional): Name of the domain in logs, tables and pseudo-label folders.
            Defaults to the data set's.
        label_map (dict[int, int], optional): ``{raw id: class index}`` instead of the data set's
            published table. Ids it does not name are ignored.
        pipeline (Sequence): The transforms.
        require_labels (bool): Whether every label has to be there in a role that reads labels.
        **kwargs: Those of :class:`mmseg.datasets.BaseSegDataset`, such as ``indices``.

    Raises:
        MissingFileError: If a folder or a needed label is missing, or the split has no image.
        InputError: If the role or the number of classes is unknown, ``label_map`` names an id or
            a class that cannot be, an image is there in two formats, or has changed since it was
            prepared.
    """

    domain: str = ''
    raw_labels: str = ''
    image_suffixes: tuple[str, ...] = ('.png',)
    splits: dict[str, str] = dict(source='train', target='train', validation='val')
    preparation: Preparation | None = None

    def __init__(
        self,
        data_root: str,
        num_classes: int,
        role: str,
        split: str | None = None,
        domain: str | None = None,
        label_map: dict[int, int] | None = None,
        pipeline: Sequence = (),
        require_labels: bool = True,
        **kwargs: Any,
    ) -> None:
        if role not in ROLES:
            raise InputError(f'role is {role!r}, but a domain is one of {", ".join(ROLES)}.')
        classes = (*range(len(label_space(num_classes).classes)), IGNORE_INDEX)
        self.role = role
        self.require_labels = require_labels
        self.split = split or self.splits[role]
        self.domain = domain or self.domain
        if self.domain in ('', '..') or Path(self.domain).name != self.domain:
            raise InputError(
                f'domain is {self.domain!r}, but it names folders: give it a name without slashes.'
            )
        # None: label_map is the user's own and may leave out ids that are to be ignored
        self.known_ids: set[int] | None = None
        if label_map is None:
            label_map = raw_label_map(self.raw_labels, num_classes)
            self.known_ids = set(label_map)
        wrong = {
            raw: index
            for raw, index in label_map.items()
            if index not in classes or raw not in range(256)
        }
        if wrong:
            raise InputError(
                f'label_map of {self.domain} has {wrong}, but a raw id is 0 to 255 and a class '
                f'index 0 to {num_classes - 1}, or 255 to ignore.'
            )
        self.label_lookup = lookup_table(label_map)
        super().__init__(
            data_root=str(data_root),
            metainfo=label_space(num_classes)._asdict(),
            pipeline=list(pipeline),
            test_mode=role == 'validation',
            **kwargs,
        )

    @property
    def labelled(self) -> bool:
        """Whether labels are read in this role."""
        return self.role != 'target'

    def image_folder(self) -> Path:
        """The folder under which the images of ``self.split`` lie, however deep."""
        raise NotImplementedError

    def label_path(self, image: Path) -> Path:
        """The label of an image, given as a path relative to :meth:`image_folder`."""
        raise NotImplementedError

    def map_label(self, raw_label: np.ndarray, path: str) -> np.ndarray:
        """Map raw label ids to class indices.

        Args:
            raw_label (np.ndarray): (H, W) uint8 raw ids.
            path (str): The file it came from, for error messages.

        Returns:
            np.ndarray: (H, W) uint8 class indices, 255 = ignore.

        Raises:
            InputError: If the label is not a single-channel image.
        """
        if raw_label.ndim != 2:
            raise InputError(
                f'{path} is no single-channel image of label ids (shape {raw_label.shape}): point '
                f'{type(self).__name__} at the id images of the data set.'
            )
        return self.label_lookup[raw_label]

    def check_image(self, image: Image.Image, path: str) -> None:
        """Check what the header of an image tells.

        Args:
            image (Image.Image): The image; its pixels need not be loaded.
            path (str): The file it came from, for error messages.

        Raises:
            InputError: If its values do not fit into 8 bits.
        """
        check_depth(image, path)

    def check_label(self, label: Image.Image, image_size: tuple[int, int], path: str) -> None:
        """Check what the header of a label image tells.

        Args:
            label (Image.Image): The label; its pixels need not be loaded.
            image_size (tuple[int, int]): (width, height) of its image.
            path (str): The file it came from, for error messages.

        Raises:
            InputError: If its pixels cannot be label ids, or its size does not fit the image.
        """
        if label.mode not in LABEL_MODES:
            raise InputError(
                f'{path} has mode {label.mode}, but label ids are an 8-bit image of mode '
                f'{" or ".join(LABEL_MODES)}: point {type(self).__name__} at the id images of the '
                'data set, or convert them.'
            )
        if not self.label_size_fits(label.size, image_size):
            raise InputError(
                f'{path} is {label.width}x{label.height}, but its image is '
                f'{image_size[0]}x{image_size[1]}: replace the one that is wrong.'
            )

    def label_size_fits(self, label_size: tuple[int, int], image_size: tuple[int, int]) -> bool:
        """Whether a label of this (width, height) may belong to an image of that one."""
        return label_size == image_size

    def get_data_info(self, idx: int) -> dict:
        """The record of one image; labelled roles carry check and mapping of their labels along."""
        data_info = super().get_data_info(idx)
        if self.labelled:
            data_info['check_label'] = self.check_label
            data_info['map_label'] = self.map_label
        return data_info

    def prepare_data(self, idx: int) -> dict:
        """The record of one image after the data set's own pipeline."""
        return self.run_pipeline(self.pipeline, self.get_data_info(idx))

    def run_pipeline(self, pipeline: Callable[[dict], dict], data_info: dict) -> dict:
        """Run a pipeline on a record of :meth:`get_data_info`.

        Args:
            pipeline (Callable): The transforms, composed.
            data_info (dict): The record; transforms may change it.

        Returns:
            dict: What the last transform returns.

        Raises:
            InputError: If the image cannot be read. What else a transform raises passes through.
        """
        path = data_info['img_path']
        try:
            if self.preparation is not None:
                return self.preparation.run(pipeline, data_info)
            return pipeline(data_info)
        except Exception:
            # what a decoder raises does not tell the file: read it again to know, and to name it
            open_image(path)
            raise

    def load_data_list(self) -> list[dict]:
        """List the split's images, sorted by path, with their labels where the role has some."""
        folder = self.image_folder()
        images = self.find_images(folder)
        data_list: list[dict[str, Any]] = [
            dict(
                img_path=str(folder / image),
                sample_name=str(image.with_suffix('')),
                domain=self.domain,
                label_map=None,
                reduce_zero_label=False,
                seg_fields=[],
            )
            for image in images
        ]
        if self.labelled:
            labels = [self.label_path(image) for image in images]
            if self.require_labels:
                self.require_files(labels)
            for data_info, label in zip(data_list, labels):
                data_info['seg_map_path'] = str(label)
        self.preparation = self.find_preparation(data_list)
        return data_list

    def find_preparation(self, data_list: list[dict]) -> Preparation | None:
        """The preparation for this pipeline, if some of the images have one; it is logged."""
        loading, root = loading_of(self.pipeline), prepared_root(self.data_root)
        if loading is None or root is None:
            return None
        preparation = Preparation(root, self.data_root, loading.size)
        count = preparation.add_records(data_list, loading.labelled)
        if count == 0:
            return None
        incomplete = count < len(data_list)
        print_log(
            f'The {self.role} {self.domain!r}: {count} of {len(data_list)} images are read from '
            f'{preparation.folder}{f"; for all of them run {PREPARE}." if incomplete else "."}',
            logger='current',
            level=logging.WARNING if incomplete else logging.INFO,
        )
        return preparation

    def find_images(self, folder: Path) -> list[Path]:
        """All images under ``folder``, relative to it and sorted; links to folders are followed."""
        if not folder.is_dir():
            raise MissingFileError(
                f'{folder} does not exist: put or link the data set {self.domain} to '
                f'{self.data_root}, or correct its data_root or MLCL_DATA_ROOT.'
            )
        images = sorted(
            Path(root, name).relative_to(folder)
            for root, _, names in os.walk(folder, followlinks=True)
            for name in names
            # macOS leaves ._ files beside the images
            if name.endswith(self.image_suffixes) and not name.startswith('.')
        )
        names = [image.with_suffix('') for image in images]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f'{folder / twice} is there in two formats: remove one of them.')
        if not images:
            raise MissingFileError(
                f'{folder} holds no *{" or *".join(self.image_suffixes)} image: check data_root '
                f'and split of {type(self).__name__}.'
            )
        return images

    def require_files(self, labels: list[Path]) -> None:
        """Raise MissingFileError unless every label file is there."""
        missing = [label for label in labels if not label.is_file()]
        if missing:
            raise MissingFileError(
                f'{len(missing)} of {len(labels)} label images of {type(self).__name__} as '
                f'{self.role} are missing, the first is {missing[0]}: complete the data set.'
            )
