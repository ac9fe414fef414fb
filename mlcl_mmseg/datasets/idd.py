"""India Driving Dataset: leftImg8bit/<split>/<drive>/, gtFine/<split>/<drive>/."""

from pathlib import Path

from mmseg.registry import DATASETS

from ..errors import MissingFileError
from .domain import DomainDataset


@DATASETS.register_module()
class IDDDomain(DomainDataset):
    """IDD with the ``_labelids.png`` labels that ``tools/dataset_converters/idd.py`` makes."""

    domain = 'idd'
    raw_labels = 'idd'
    image_suffixes = ('_leftImg8bit.png', '_leftImg8bit.jpg')

    def image_folder(self) -> Path:
        """``leftImg8bit/<split>``."""
        return Path(self.data_root, 'leftImg8bit', self.split)

    def label_path(self, image: Path) -> Path:
        """``gtFine/<split>/<drive>/<frame>_gtFine_labelids.png``."""
        frame = image.stem.removesuffix('_leftImg8bit')
        name = f'{frame}_gtFine_labelids.png'
        return Path(self.data_root, 'gtFine', self.split, image.with_name(name))

    def require_files(self, labels: list[Path]) -> None:
        """Raise MissingFileError unless every label file is there."""
        if labels and not any(label.is_file() for label in labels):
            raise MissingFileError(
                f'{self.data_root} has no *_gtFine_labelids.png yet: make them with '
                f'"python tools/dataset_converters/idd.py {self.data_root}".'
            )
        super().require_files(labels)
