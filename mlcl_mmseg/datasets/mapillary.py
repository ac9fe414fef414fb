"""Mapillary Vistas v1.2: training/images, training/v1.2/labels or training/labels; validation."""

from pathlib import Path

from mmseg.registry import DATASETS

from ..errors import MissingFileError
from ..labels import IGNORE_INDEX, RawLabels
from .domain import DomainDataset

_ = IGNORE_INDEX
# the 7-class column follows the published results, where terrain is flat
# fmt: off
RAW_LABELS: RawLabels = {
    0: ('Bird', _, _),
    1: ('Ground Animal', _, _),
    2: ('Curb', 1, _),
    3: ('Fence', 1, 4),
    4: ('Guard Rail', 1, _),
    5: ('Barrier', 1, _),
    6: ('Wall', 1, 3),
    7: ('Bike Lane', 0, _),
    8: ('Crosswalk - Plain', 0, _),
    9: ('Curb Cut', 0, _),
    10: ('Parking', 0, _),
    11: ('Pedestrian Area', 0, _),
    12: ('Rail Track', 0, _),
    13: ('Road', 0, 0),
    14: ('Service Lane', 0, _),
    15: ('Sidewalk', 0, 1),
    16: ('Bridge', 1, _),
    17: ('Building', 1, 2),
    18: ('Tunnel', 1, _),
    19: ('Person', 5, 11),
    20: ('Bicyclist', 5, 12),
    21: ('Motorcyclist', 5, 12),
    22: ('Other Rider', 5, 12),
    23: ('Lane Marking - Crosswalk', 0, _),
    24: ('Lane Marking - General', 0, _),
    25: ('Mountain', _, _),
    26: ('Sand', _, _),
    27: ('Sky', 4, 10),
    28: ('Snow', _, _),
    29: ('Terrain', 0, 9),
    30: ('Vegetation', 3, 8),
    31: ('Water', _, _),
    32: ('Banner', _, _),
    33: ('Bench', _, _),
    34: ('Bike Rack', _, _),
    35: ('Billboard', _, _),
    36: ('Catch Basin', _, _),
    37: ('CCTV Camera', _, _),
    38: ('Fire Hydrant', _, _),
    39: ('Junction Box', _, _),
    40: ('Mailbox', _, _),
    41: ('Manhole', _, _),
    42: ('Phone Booth', _, _),
    43: ('Pothole', 2, _),
    44: ('Street Light', 2, _),
    45: ('Pole', 2, 5),
    46: ('Traffic Sign Frame', 2, _),
    47: ('Utility Pole', 2, _),
    48: ('Traffic Light', 2, 6),
    49: ('Traffic Sign (Back)', 2, 7),
    50: ('Traffic Sign (Front)', 2, 7),
    51: ('Trash Can', _, _),
    52: ('Bicycle', 6, 18),
    53: ('Boat', 6, _),
    54: ('Bus', 6, 15),
    55: ('Car', 6, 13),
    56: ('Caravan', 6, _),
    57: ('Motorcycle', 6, 17),
    58: ('On Rails', 6, 16),
    59: ('Other Vehicle', 6, _),
    60: ('Trailer', 6, _),
    61: ('Truck', 6, 14),
    62: ('Wheeled Slow', 6, _),
    63: ('Car Mount', _, _),
    64: ('Ego Vehicle', _, _),
    65: ('Unlabeled', _, _),
}
# fmt: on


@DATASETS.register_module()
class MapillaryDomain(DomainDataset):
    """Mapillary Vistas with the v1.2 label ids.

    The training folder may be named ``training`` or ``train``. The labels are in ``v1.2/labels``
    or, in the older download, in ``labels``. Labels of v2.0 have other ids and are refused.
    """

    domain = 'mapillary'
    raw_labels = RAW_LABELS
    last_id = max(RAW_LABELS)
    last_id_message = (
        f'but the last id of Mapillary Vistas v1.2 is {last_id}: these are v2.0 labels, put the '
        'v1.2 labels into v1.2/labels'
    )
    image_suffixes = ('.jpg',)
    splits = dict(source='training', target='training', validation='validation')

    def split_folder(self) -> Path:
        """Return the folder of the split; ``train`` is used if ``training`` does not exist."""
        folder = Path(self.data_root, self.split)
        short = Path(self.data_root, 'train')
        if self.split == 'training' and not folder.is_dir() and short.is_dir():
            return short
        return folder

    def image_folder(self) -> Path:
        """Return ``<split>/images``."""
        return self.split_folder() / 'images'

    def label_folder(self) -> Path:
        """Return ``<split>/v1.2/labels`` or ``<split>/labels``, the first one that exists.

        Raises:
            MissingFileError: If neither exists.
        """
        split = self.split_folder()
        folders = [split / 'v1.2' / 'labels', split / 'labels']
        for folder in folders:
            if folder.is_dir():
                return folder
        only_v2 = ' (labels of v2.0 have other ids)' if (split / 'v2.0').is_dir() else ''
        raise MissingFileError(
            f'{split} has neither v1.2/labels nor labels: put the v1.2 label images of Mapillary '
            f'Vistas there{only_v2}.'
        )

    def label_path(self, image: Path) -> Path:
        """Return the file in :meth:`label_folder` with the name of the image and ``.png``."""
        return self.label_folder() / image.with_suffix('.png')
