"""Cityscapes: leftImg8bit/<split>/<city>/, gtFine/<split>/<city>/."""

from pathlib import Path

from mmseg.registry import DATASETS

from .domain import DomainDataset


@DATASETS.register_module()
class CityscapesDomain(DomainDataset):
    """Cityscapes with the ``_labelIds.png`` labels as downloaded."""

    domain = 'cityscapes'
    raw_labels = 'cityscapes'
    image_suffixes = ('_leftImg8bit.png',)

    def image_folder(self) -> Path:
        """``leftImg8bit/<split>``."""
        return Path(self.data_root, 'leftImg8bit', self.split)

    def label_path(self, image: Path) -> Path:
        """``gtFine/<split>/<city>/<frame>_gtFine_labelIds.png``."""
        frame = image.name.removesuffix('_leftImg8bit.png')
        name = f'{frame}_gtFine_labelIds.png'
        return Path(self.data_root, 'gtFine', self.split, image.with_name(name))
