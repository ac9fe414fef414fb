"""A domain that needs no code: a folder of images and a folder of label images."""

from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from ..labels import IGNORE_INDEX
from .domain import DomainDataset


@DATASETS.register_module()
class FolderDomain(DomainDataset):
    """A folder of images, with labels in a folder of the same structure if the role needs them.

    Args:
        data_root (str): The folder of the domain.
        num_classes (int): 7 or 19.
        role (str): 'source', 'target' or 'validation'.
        domain (str): Name of the domain.
        image_dir (str): Folder of the images relative to ``data_root``. It may contain
            ``{split}``.
        label_dir (str): Folder of the label images relative to ``data_root``. It may contain
            ``{split}``.
        image_suffix (str): Suffix of the image file names.
        label_suffix (str): Suffix of the label file names, which replaces ``image_suffix``.
        label_map (dict[int, int], optional): ``{raw id: class index}``. Ids that it does not
            contain are ignored. By default, the label images contain class indices.
        **kwargs: Keyword arguments of :class:`DomainDataset`.
    """

    def __init__(
        self,
        data_root: str,
        num_classes: int,
        role: str,
        domain: str,
        image_dir: str = 'images',
        label_dir: str = 'labels',
        image_suffix: str = '.png',
        label_suffix: str = '.png',
        label_map: dict[int, int] | None = None,
        **kwargs: Any,
    ) -> None:
        self.image_dir = image_dir
        self.label_dir = label_dir
        self.image_suffixes = (image_suffix,)
        self.label_suffix = label_suffix
        known_ids = None
        if label_map is None:
            label_map = {index: index for index in range(num_classes)}
            known_ids = {*label_map, IGNORE_INDEX}
        super().__init__(
            data_root,
            num_classes,
            role,
            domain=domain,
            label_map=label_map,
            **kwargs,
        )
        if known_ids is not None:
            self.known_ids = known_ids

    def image_folder(self) -> Path:
        """Return ``image_dir`` below ``data_root``."""
        return Path(self.data_root, self.image_dir.format(split=self.split))

    def label_path(self, image: Path) -> Path:
        """Return the same relative path under ``label_dir``, with the suffix of labels."""
        name = image.name.removesuffix(self.image_suffixes[0]) + self.label_suffix
        return Path(self.data_root, self.label_dir.format(split=self.split), image.with_name(name))
