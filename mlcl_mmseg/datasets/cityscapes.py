"""Cityscapes: leftImg8bit/<split>/<city>/, gtFine/<split>/<city>/."""

from pathlib import Path

from mmseg.registry import DATASETS

from ..labels import IGNORE_INDEX, RawLabels
from .domain import DomainDataset
from .image_files import without_suffix

_ = IGNORE_INDEX
# the 7-class column follows the published results, where terrain is nature
# fmt: off
RAW_LABELS: RawLabels = {
    0: ('unlabeled', _, _),
    1: ('ego vehicle', _, _),
    2: ('rectification border', _, _),
    3: ('out of roi', _, _),
    4: ('static', _, _),
    5: ('dynamic', _, _),
    6: ('ground', _, _),
    7: ('road', 0, 0),
    8: ('sidewalk', 0, 1),
    9: ('parking', _, _),
    10: ('rail track', _, _),
    11: ('building', 1, 2),
    12: ('wall', 1, 3),
    13: ('fence', 1, 4),
    14: ('guard rail', _, _),
    15: ('bridge', _, _),
    16: ('tunnel', _, _),
    17: ('pole', 2, 5),
    18: ('polegroup', _, _),
    19: ('traffic light', 2, 6),
    20: ('traffic sign', 2, 7),
    21: ('vegetation', 3, 8),
    22: ('terrain', 3, 9),
    23: ('sky', 4, 10),
    24: ('person', 5, 11),
    25: ('rider', 5, 12),
    26: ('car', 6, 13),
    27: ('truck', 6, 14),
    28: ('bus', 6, 15),
    29: ('caravan', 6, _),
    30: ('trailer', 6, _),
    31: ('train', 6, 16),
    32: ('motorcycle', 6, 17),
    33: ('bicycle', 6, 18),
}
# fmt: on


@DATASETS.register_module()
class CityscapesDomain(DomainDataset):
    """Cityscapes with its original ``_labelIds.png`` labels."""

    domain = 'cityscapes'
    raw_labels = RAW_LABELS
    image_suffixes = ('_leftImg8bit.png',)

    def image_folder(self) -> Path:
        """Return ``leftImg8bit/<split>``."""
        return Path(self.data_root, 'leftImg8bit', self.split)

    def label_path(self, image: Path) -> Path:
        """Return ``gtFine/<split>/<city>/<frame>_gtFine_labelIds.png``."""
        frame = without_suffix(image.name, self.image_suffixes)
        name = f'{frame}_gtFine_labelIds.png'
        return Path(self.data_root, 'gtFine', self.split, image.with_name(name))
