"""The class sets with 7 and 19 classes, and the mapping of raw label ids to their classes."""

from typing import NamedTuple

import numpy as np

from .errors import InputError

IGNORE_INDEX = 255
# {raw label id: (name, index among 7 classes, index among 19 classes)}
RawLabels = dict[int, tuple[str, int, int]]


class LabelSpace(NamedTuple):
    """A class set: names and RGB colours of the classes, in the order of their indices."""

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


def label_space(num_classes: int) -> LabelSpace:
    """Return the class set with this number of classes.

    Returns:
        LabelSpace: Names and colours.

    Raises:
        InputError: If there is no such class set. The message lists the supported numbers.
    """
    if num_classes not in LABEL_SPACES:
        known = ' or '.join(map(str, LABEL_SPACES))
        raise InputError(f'num_classes is {num_classes}, but it must be {known}.')
    return LABEL_SPACES[num_classes]


def lookup_table(label_map: dict[int, int]) -> np.ndarray:
    """Convert ``{raw id: class index}`` to a table that maps a raw label image by indexing.

    Returns:
        np.ndarray: (256,) uint8. Every id that ``label_map`` does not contain is ignored (255).
    """
    table = np.full(256, IGNORE_INDEX, np.uint8)
    for raw_id, index in label_map.items():
        table[raw_id] = index
    return table


def raw_label_map(raw_labels: RawLabels, num_classes: int) -> dict[int, int]:
    """Return ``{raw id: class index}`` of a data set. Ignored ids map to 255.

    Args:
        raw_labels (RawLabels): The label table of the data set.
        num_classes (int): 7 or 19.

    Returns:
        dict[int, int]: The class index of every raw id of the data set.

    Raises:
        InputError: If there is no class set with this number of classes.
    """
    label_space(num_classes)
    return {
        raw: of_7 if num_classes == 7 else of_19 for raw, (_, of_7, of_19) in raw_labels.items()
    }
