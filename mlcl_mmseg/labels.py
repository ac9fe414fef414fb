"""The 7- and 19-class label spaces and the raw label ids of the four data sets: one place.

The 7-class column is the one the published multi-target results use, terrain included: GTA5 and
Mapillary put it under flat, Cityscapes under nature, IDD has none (method.md §6-Q3).
"""

from typing import NamedTuple

import numpy as np

from .errors import InputError

IGNORE_INDEX = 255


class LabelSpace(NamedTuple):
    """Names and RGB colours of the classes, in the order of their indices."""

    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]


LABEL_SPACES = {
    7: LabelSpace(
        classes=(
            'flat',
            'construction',
            'object',
            'nature',
            'sky',
            'human',
            'vehicle',
        ),
        palette=(
            (128, 64, 128),
            (70, 70, 70),
            (153, 153, 153),
            (107, 142, 35),
            (70, 130, 180),
            (220, 20, 60),
            (0, 0, 142),
        ),
    ),
    19: LabelSpace(
        classes=(
            'road',
            'sidewalk',
            'building',
            'wall',
            'fence',
            'pole',
            'traffic light',
            'traffic sign',
            'vegetation',
            'terrain',
            'sky',
            'person',
            'rider',
            'car',
            'truck',
            'bus',
            'train',
            'motorcycle',
            'bicycle',
        ),
        palette=(
            (128, 64, 128),
            (244, 35, 232),
            (70, 70, 70),
            (102, 102, 156),
            (190, 153, 153),
            (153, 153, 153),
            (250, 170, 30),
            (220, 220, 0),
            (107, 142, 35),
            (152, 251, 152),
            (70, 130, 180),
            (220, 20, 60),
            (255, 0, 0),
            (0, 0, 142),
            (0, 0, 70),
            (0, 60, 100),
            (0, 80, 100),
            (0, 0, 230),
            (119, 11, 32),
        ),
    ),
}

_ = IGNORE_INDEX
# raw label id: (name, index among 7 classes, index among 19 classes)
# fmt: off
RAW_LABELS = {
    'gta5': {
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
        22: ('terrain', 0, 9),
        23: ('sky', 4, 10),
        24: ('person', 5, 11),
        25: ('rider', 5, 12),
        26: ('car', 6, 13),
        27: ('truck', 6, 14),
        28: ('bus', 6, 15),
        29: ('caravan', _, _),
        30: ('trailer', _, _),
        31: ('train', 6, 16),
        32: ('motorcycle', 6, 17),
        33: ('bicycle', 6, 18),
    },
    'cityscapes': {
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
    },
    'mapillary_v1.2': {
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
    },
    'idd': {
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
    },
}
# fmt: on


def label_space(num_classes: int) -> LabelSpace:
    """The label space with this number of classes.

    Returns:
        LabelSpace: Names and colours.

    Raises:
        InputError: If there is none; the message lists those there are.
    """
    if num_classes not in LABEL_SPACES:
        known = ' or '.join(map(str, LABEL_SPACES))
        raise InputError(
            f'num_classes is {num_classes}, but the label spaces have {known} classes.'
        )
    return LABEL_SPACES[num_classes]


def lookup_table(label_map: dict[int, int]) -> np.ndarray:
    """Turn ``{raw id: class index}`` into a table that maps a raw label image by indexing.

    Returns:
        np.ndarray: (256,) uint8; every id that ``label_map`` does not name is ignored (255).
    """
    table = np.full(256, IGNORE_INDEX, np.uint8)
    for raw_id, index in label_map.items():
        table[raw_id] = index
    return table


def raw_label_map(raw_labels: str, num_classes: int) -> dict[int, int]:
    """``{raw id: class index}`` of a data set in a label space; ignored ids map to 255.

    Args:
        raw_labels (str): A key of :data:`RAW_LABELS`.
        num_classes (int): 7 or 19.

    Returns:
        dict[int, int]: Every raw id of the data set.
    """
    label_space(num_classes)
    return {
        raw: of_7 if num_classes == 7 else of_19
        for raw, (_, of_7, of_19) in RAW_LABELS[raw_labels].items()
    }
