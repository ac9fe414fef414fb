"""A domain that needs no code: a folder of images and a folder of label images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from ..errors import InputError
from ..labels import IGNORE_INDEX
from .domain import DomainDataset
from .image_files import without_suffix


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
        image_suffix (str | Sequence[str]): Suffix of the image file names, or several of them.
            The case does not matter.
        label_suffix (str | Sequence[str]): Suffix of the label file names, or several of them. It
            replaces the suffix of the image. The case does not matter.
        label_map (dict[int, int], optional): ``{raw id: class index}``. Ids that it does not
            contain are ignored. By default, the label images contain class indices.
        **kwargs: Keyword arguments of :class:`DomainDataset`.

    Raises:
        InputError: If a suffix is missing or not a string, and as :class:`DomainDataset` does.
    """

    def __init__(
        self,
        data_root: str,
        num_classes: int,
        role: str,
        domain: str,
        image_dir: str = 'images',
        label_dir: str = 'labels',
        image_suffix: str | Sequence[str] = '.png',
        label_suffix: str | Sequence[str] = '.png',
        label_map: dict[int, int] | None = None,
        **kwargs: Any,
    ) -> None:
        self.image_dir = image_dir
        self.label_dir = label_dir
        self.image_suffixes = as_tuple(image_suffix)
        self.label_suffixes = as_tuple(label_suffix)
        for suffixes in (self.image_suffixes, self.label_suffixes):
            if not suffixes or not all(isinstance(each, str) for each in suffixes):
                raise InputError(
                    f'image_suffix or label_suffix of {domain!r} is {suffixes}: set a suffix such '
                    "as '.png', or a list of them."
                )
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
            self.known_ids = self.named_ids = known_ids

    def folder(self, name: str) -> Path:
        """Return a folder below ``data_root``. Other braces than ``{split}`` belong to its name."""
        return Path(self.data_root, name.replace('{split}', self.split))

    def image_folder(self) -> Path:
        """Return ``image_dir`` below ``data_root``."""
        return self.folder(self.image_dir)

    def label_path(self, image: Path) -> Path:
        """Return the same relative path under ``label_dir``, with the first suffix of labels."""
        return self.label_paths(image)[0]

    def label_paths(self, image: Path) -> list[Path]:
        """Return the same relative path under ``label_dir`` with each suffix of labels."""
        name = without_suffix(image.name, self.image_suffixes)
        folder = self.folder(self.label_dir) / image.parent
        return [folder / f'{name}{suffix}' for suffix in self.label_suffixes]


def as_tuple(suffix: Any) -> tuple:
    """Return one suffix or several as a tuple."""
    return tuple(suffix) if isinstance(suffix, list | tuple) else (suffix,)
