"""A domain that joins by config alone: a folder of images, a folder of label images."""

from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from ..labels import IGNORE_INDEX
from .domain import DomainDataset


@DATASETS.register_module()
class FolderDomain(DomainDataset):
    """Any folder of images, with labels in a folder of the same structure if the role needs them.

    Args:
        data_root (str): The folder of the domain.
        num_classes (int): 7 or 19.
        role (str): 'source', 'target' or 'validation'.
        domain (str): Name of the domain.
        image_dir (str): Folder of the images below ``data_root``; may hold ``{split}``.
        label_dir (str): Folder of the label images, likewise.
        image_suffix (str): End of the images' names.
        label_suffix (str): End of the labels' names, in the place of ``image_suffix``.
        label_map (dict[int, int], optional): ``{raw id: class index}``; ids it does not name are
            ignored. Not given, the label images hold class indices.
        **kwargs: Those of :class:`DomainDataset`.
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
        """``image_dir`` below ``data_root``."""
        return Path(self.data_root, self.image_dir.format(split=self.split))

    def label_path(self, image: Path) -> Path:
        """The same relative path under ``label_dir``, with the label's suffix."""
        name = image.name.removesuffix(self.image_suffixes[0]) + self.label_suffix
        return Path(self.data_root, self.label_dir.format(split=self.split), image.with_name(name))
