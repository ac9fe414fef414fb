"""The base class of the data sets of all domains: roles, files and label mapping."""

import os
from collections.abc import Callable, Sequence
from copy import copy as shallow_copy
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmseg.datasets import BaseSegDataset
from PIL import Image

from ..errors import InputError, MissingFileError
from ..labels import RawLabels, label_space, lookup_table, raw_label_map
from ..untrusted_files import REPLACE, find_files
from .found_files import count_unread, match_labels, names_in_folder, say_once, select_images
from .image_files import check_depth, count_suffixes, open_image
from .label_format import LabelFormat, check_label_map
from .prepared_copy import PREPARE, PreparedCopy

ROLES = ('source', 'target', 'validation')


class DomainDataset(BaseSegDataset):
    """Images of one domain with the 7 or 19 classes, in one of three roles.

    A source is used for training with labels. A target is used for training without labels: its
    label folder is never accessed and need not exist. A validation set is used for evaluation
    with labels. A subclass defines where images and labels are stored by implementing
    :meth:`image_folder` and :meth:`label_path`.

    Args:
        data_root (str): The folder of the data set as downloaded, or its prepared copy.
        num_classes (int): 7 or 19.
        role (str): 'source', 'target' or 'validation'.
        split (str, optional): The part of the data set to read. Defaults to the training part
            for a source or target and to the validation part for a validation set.
        domain (str, optional): Name of the domain in logs, tables and pseudo-label folders.
            Defaults to the name of the data set.
        label_map (dict[int, int], optional): ``{raw id: class index}``, which replaces the
            published table of the data set. Ids that it does not contain are ignored.
        pipeline (Sequence): The transforms.
        require_labels (bool): Whether every label must exist in a role that reads labels.
        **kwargs: Keyword arguments of :class:`mmseg.datasets.BaseSegDataset`, such as ``indices``.

    Raises:
        MissingFileError: If a folder or a required label is missing, or the split has no image.
        InputError: If the role or the number of classes is unknown, if ``label_map`` contains an
            id or a class out of range, or if an image or a label exists in two formats. If
            ``data_root`` is a prepared copy, also if the copy is incomplete, the originals have
            changed since it was made, or it was made for another pipeline.
    """

    domain: str = ''
    raw_labels: RawLabels = {}
    image_suffixes: tuple[str, ...] = ('.png',)
    splits: dict[str, str] = dict(source='train', target='train', validation='val')
    # these three are described in LabelFormat
    label_aspect_tolerance: float | None = None
    last_id: int = 255
    last_id_message: str = ''
    # files that a prepared copy needs besides images and labels, if the data set has them
    other_files: tuple[str, ...] = ()
    prepared_copy: PreparedCopy | None = None
    # files beside the images, relative to their folder
    unselected_files: Sequence[Path] = ()

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
            raise InputError(f'role is {role!r}, but it must be one of {", ".join(ROLES)}.')
        self.role = role
        self.require_labels = require_labels
        self.split = split or self.splits[role]
        self.domain = domain or self.domain
        if self.domain in ('', '..') or Path(self.domain).name != self.domain:
            raise InputError(
                f'domain is {self.domain!r}, but folders are named after it: set a name without '
                'slashes.'
            )
        # None if the user passes label_map, which may omit ids to be ignored
        self.known_ids: set[int] | None = None
        if label_map is None:
            label_map = raw_label_map(self.raw_labels, num_classes)
            self.known_ids = set(label_map)
        check_label_map(label_map, num_classes, self.domain)
        # the ids that the map names, also those that it maps to 255
        self.named_ids = set(label_map)
        self.label_format = LabelFormat(
            type(self).__name__,
            lookup_table(label_map),
            self.label_aspect_tolerance,
            self.last_id,
            self.last_id_message,
        )
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
        """Return the folder that contains the images of ``self.split``, at any depth."""
        raise NotImplementedError

    def label_path(self, image: Path) -> Path:
        """Return the path of the label of an image.

        Args:
            image (Path): The path of the image relative to :meth:`image_folder`.
        """
        raise NotImplementedError

    def label_paths(self, image: Path) -> Sequence[Path]:
        """Return the paths that the label of an image may have; one of them is to exist.

        The case of their suffixes does not matter.

        Args:
            image (Path): See :meth:`label_path`.
        """
        return [self.label_path(image)]

    def check_image(self, image: Image.Image, path: str) -> None:
        """Check the mode and size of an image.

        Args:
            image (Image.Image): The image. Its pixels need not be loaded.
            path (str): The file that it was read from, for error messages.

        Raises:
            InputError: If its values do not fit into 8 bits, or it belongs to a prepared copy and
                does not have the size of that copy.
        """
        check_depth(image, path)
        if self.prepared_copy is not None and image.size != self.prepared_copy.size:
            raise InputError(f'{path} is damaged (its size is wrong): run {PREPARE} again.')

    def get_data_info(self, idx: int) -> dict:
        """Return the record of one image, with its label format if the role reads labels."""
        data_info = super().get_data_info(idx)
        if self.labelled:
            data_info['label_format'] = self.label_format
        return data_info

    def prepare_data(self, idx: int) -> dict:
        """Return the record of one image after the pipeline of the data set."""
        return self.run_pipeline(self.pipeline, self.get_data_info(idx))

    def run_pipeline(self, pipeline: Callable[[dict], dict], data_info: dict) -> dict:
        """Run a pipeline on a record of :meth:`get_data_info`.

        Args:
            pipeline (Callable): The transforms, composed.
            data_info (dict): The record. Transforms may change it in place.

        Returns:
            dict: The result of the last transform.

        Raises:
            InputError: If the image cannot be read or :meth:`check_image` refuses it. Any other
                error of a transform is passed on.
        """
        path, remedy = data_info['img_path'], data_info['remedy']
        if self.prepared_copy is not None and pipeline is not self.pipeline:
            self.prepared_copy.check_pipeline(pipeline)
        # MMCV decodes any format that Pillow knows, and waits for ever for a named pipe
        self.check_image(open_image(path, load=False, remedy=remedy), path)
        try:
            return pipeline(data_info)
        except Exception:
            # an error of a decoder does not name the file: if the image is the cause, reading it
            # again raises an error that does
            open_image(path, remedy=remedy)
            raise

    def load_data_list(self) -> list[dict]:
        """List the images of the split, sorted by path, with labels if the role reads them."""
        self.prepared_copy = PreparedCopy.read(self.data_root)
        if self.prepared_copy is not None:
            self.prepared_copy.check_complete()
            self.prepared_copy.check_pipeline(self.pipeline)
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
                remedy=REPLACE if self.prepared_copy is None else f'run {PREPARE} again',
            )
            for image in images
        ]
        if self.labelled:
            copy = self.prepared_copy
            list_names = names_in_folder if copy is None else copy.names_by_folder().__getitem__
            labels = match_labels([self.label_paths(image) for image in images], list_names)
            if self.require_labels:
                (self if copy is None else copy).require_files(labels)
            for data_info, label in zip(data_list, labels):
                data_info['seg_map_path'] = str(label)
        if self.prepared_copy is not None:
            self.check_originals(self.prepared_copy, images)
            self.prepared_copy.replace_files(data_list)
        if is_main_process():
            say_once(self.count_unread(data_list))
        return data_list

    def count_unread(self, data_list: Sequence[dict]) -> str:
        """Return a sentence that counts the files beside the images that are not read.

        Args:
            data_list (Sequence[dict]): The records of the data set.

        Returns:
            str: '' if there are none, or if the data set is a prepared copy.
        """
        if self.prepared_copy is not None or not self.unselected_files:
            return ''
        folder = self.image_folder()
        labels = {each['seg_map_path'] for each in data_list if 'seg_map_path' in each}
        return count_unread(
            folder, [file for file in self.unselected_files if str(folder / file) not in labels]
        )

    def check_originals(self, copy: PreparedCopy, images: list[Path]) -> None:
        """Check that a copy has the same images as its data set, if the data set is available.

        Raises:
            InputError: If images were added to the data set or removed from it.
        """
        if copy.has_source:
            original = shallow_copy(self)
            original.data_root, original.prepared_copy = copy.source, None
            folder = original.image_folder()
            if original.find_images(folder) != images:
                raise InputError(copy.stale(f'Images of {folder} were added or removed'))

    def find_images(self, folder: Path) -> list[Path]:
        """Return all images under ``folder``, relative to it and sorted. Links are followed.

        Raises:
            MissingFileError: If there is no image.
            InputError: If an image exists in two formats.
        """
        copy = self.prepared_copy
        if copy is None and not os.path.isdir(folder):
            raise MissingFileError(
                f'{folder} does not exist: copy or link the data set {self.domain} to '
                f'{self.data_root}, or correct its data_root or MLCL_DATA_ROOT.'
            )
        # the names of the originals, for a copy
        files = find_files(folder) if copy is None else sorted(copy.names_in(folder))
        images, self.unselected_files = select_images(files, self.image_suffixes, folder)
        if not images and copy is not None:
            raise MissingFileError(
                f'{copy.root} has no images of the split {self.split!r} of {type(self).__name__}: '
                f'run {PREPARE} with a CONFIG that reads them.'
            )
        if not images:
            raise MissingFileError(
                f'{folder} contains no *{" or *".join(self.image_suffixes)} image'
                f'{f" ({held})" if (held := count_suffixes(files)) else ""}: correct '
                f'data_root, split or the suffixes of images of {type(self).__name__}.'
            )
        return images

    def require_files(self, labels: list[Path]) -> None:
        """Check that every label file exists.

        Raises:
            MissingFileError: If a label file is missing.
        """
        missing = [label for label in labels if not os.path.isfile(label)]
        if missing:
            raise MissingFileError(
                f'{len(missing)} of {len(labels)} label images of {type(self).__name__} as '
                f'{self.role} are missing, the first is {missing[0]}: complete the data set.'
            )
