"""India Driving Dataset: leftImg8bit/<split>/<drive>/, gtFine/<split>/<drive>/."""

import os
from pathlib import Path

from mmseg.registry import DATASETS

from ..errors import MissingFileError
from ..labels import IGNORE_INDEX, RawLabels
from .domain import DomainDataset
from .image_files import without_suffix

_ = IGNORE_INDEX
# the 7-class column follows the published results; IDD has no terrain
# fmt: off
RAW_LABELS: RawLabels = {
    0: ('road', 0, 0),
    1: ('parking', _, _),
    2: ('drivable fallback', 0, _),
    3: ('sidewalk', 0, 1),
    4: ('rail track', _, _),
    5: ('non-drivable fallback', _, 9),
    6: ('person', 5, 11),
    7: ('animal', _, _),
    8: ('rider', 5, 12),
    9: ('motorcycle', 6, 17),
    10: ('bicycle', 6, 18),
    11: ('autorickshaw', 6, _),
    12: ('car', 6, 13),
    13: ('truck', 6, 14),
    14: ('bus', 6, 15),
    15: ('caravan', 6, _),
    16: ('trailer', 6, _),
    17: ('train', 6, 16),
    18: ('vehicle fallback', 6, _),
    19: ('curb', 1, _),
    20: ('wall', 1, 3),
    21: ('fence', 1, 4),
    22: ('guard rail', _, _),
    23: ('billboard', 2, _),
    24: ('traffic sign', 2, 7),
    25: ('traffic light', 2, 6),
    26: ('pole', 2, 5),
    27: ('polegroup', _, _),
    28: ('obs-str-bar-fallback', _, _),
    29: ('building', 1, 2),
    30: ('bridge', _, _),
    31: ('tunnel', _, _),
    32: ('vegetation', 3, 8),
    33: ('sky', 4, 10),
    34: ('fallback background', _, _),
    35: ('unlabeled', _, _),
    36: ('ego vehicle', _, _),
    37: ('rectification border', _, _),
    38: ('out of roi', _, _),
    39: ('license plate', _, _),
}
# fmt: on


@DATASETS.register_module()
class IDDDomain(DomainDataset):
    """IDD with the ``_labelids.png`` labels that ``tools/dataset_converters/idd.py`` creates."""

    domain = 'idd'
    raw_labels = RAW_LABELS
    image_suffixes = ('_leftImg8bit.png', '_leftImg8bit.jpg')

    def image_folder(self) -> Path:
        """Return ``leftImg8bit/<split>``."""
        return Path(self.data_root, 'leftImg8bit', self.split)

    def label_path(self, image: Path) -> Path:
        """Return ``gtFine/<split>/<drive>/<frame>_gtFine_labelids.png``."""
        frame = without_suffix(image.name, self.image_suffixes)
        name = f'{frame}_gtFine_labelids.png'
        return Path(self.data_root, 'gtFine', self.split, image.with_name(name))

    def require_files(self, labels: list[Path]) -> None:
        """Check that every label file exists.

        Raises:
            MissingFileError: If a label file is missing.
        """
        if labels and not any(map(os.path.isfile, labels)):
            raise MissingFileError(
                f'{self.data_root} has no *_gtFine_labelids.png yet: create them with '
                f'"python tools/dataset_converters/idd.py {self.data_root}".'
            )
        super().require_files(labels)
