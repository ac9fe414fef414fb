"""Mapillary Vistas v1.2: training/images, training/v1.2/labels or training/labels; validation."""

from pathlib import Path

import numpy as np
from mmseg.registry import DATASETS

from ..errors import InputError, MissingFileError
from ..labels import RAW_LABELS
from .domain import DomainDataset


@DATASETS.register_module()
class MapillaryDomain(DomainDataset):
    """Mapillary Vistas with the v1.2 label ids.

    The training folder is called ``training`` or ``train``; the labels lie in ``v1.2/labels`` or,
    in the older download, ``labels``: whichever is there. Labels of v2.0 number other things and
    are refused.
    """

    domain = 'mapillary'
    raw_labels = 'mapillary_v1.2'
    image_suffixes = ('.jpg',)
    splits = dict(source='training', target='training', validation='validation')

    def split_folder(self) -> Path:
        """The split's folder; ``train`` serves as ``training``."""
        folder = Path(self.data_root, self.split)
        short = Path(self.data_root, 'train')
        if self.split == 'training' and not folder.is_dir() and short.is_dir():
            return short
        return folder

    def image_folder(self) -> Path:
        """``<split>/images``."""
        return self.split_folder() / 'images'

    def label_folder(self) -> Path:
        """``<split>/v1.2/labels`` or ``<split>/labels``.

        Raises:
            MissingFileError: If neither is there.
        """
        split = self.split_folder()
        folders = [split / 'v1.2' / 'labels', split / 'labels']
        for folder in folders:
            if folder.is_dir():
                return folder
        only_v2 = ' (v2.0 numbers its labels differently)' if (split / 'v2.0').is_dir() else ''
        raise MissingFileError(
            f'{split} has neither v1.2/labels nor labels: put the v1.2 label images of Mapillary '
            f'Vistas there{only_v2}.'
        )

    def label_path(self, image: Path) -> Path:
        """The image's name with ``.png`` in :meth:`label_folder`."""
        return self.label_folder() / image.with_suffix('.png')

    def map_label(self, raw_label: np.ndarray, path: str) -> np.ndarray:
        """Map v1.2 ids to class indices, see :meth:`DomainDataset.map_label`.

        Raises:
            InputError: If the label holds ids of v2.0.
        """
        label = super().map_label(raw_label, path)
        last = max(RAW_LABELS[self.raw_labels])
        if raw_label.max() > last:
            raise InputError(
                f'{path} holds label id {raw_label.max()}, but Mapillary Vistas v1.2 ends at '
                f'{last}: these are v2.0 labels, put the v1.2 ones in v1.2/labels.'
            )
        return label
