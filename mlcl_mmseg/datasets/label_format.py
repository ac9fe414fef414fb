"""How a data set stores its labels, so that transforms can check and map them."""

from dataclasses import dataclass

import numpy as np
from PIL.ImageFile import ImageFile

from ..errors import InputError
from ..labels import IGNORE_INDEX, label_space
from ..untrusted_files import REPLACE
from .image_files import open_image, orientation

# Pillow's modes of 8-bit greyscale and palette images, whose stored values are the ids
LABEL_MODES = ('L', 'P')
# JPEG, JPEG 2000 and WebP change values, GIF writers renumber palettes, and Pillow scales PGM
LABEL_FORMATS = ('PNG', 'BMP', 'TIFF')
# Pillow's names of the compressions of TIFF that change values
LOSSY = ('jpeg', 'tiff_jpeg', 'webp')


@dataclass(frozen=True)
class LabelFormat:
    """How a data set stores its labels, as plain data that every record contains.

    Attributes:
        data_set (str): Class name of the data set, for messages.
        lookup (np.ndarray): (256,) uint8, the class index of each raw id, 255 = ignore.
        aspect_tolerance (float, optional): By how much the ratio of the aspect ratios of label
            and image may differ from 1. If None, both must have the same size.
        last_id (int): The highest raw id.
        last_id_message (str): The cause and the remedy if a label contains a higher id.
    """

    data_set: str
    lookup: np.ndarray
    aspect_tolerance: float | None = None
    last_id: int = 255
    last_id_message: str = ''

    def check(
        self, path: str, image_path: str, image_size: tuple[int, int], remedy: str = REPLACE
    ) -> None:
        """Check by its header that a label image stores ids and fits its image.

        Args:
            path (str): The label.
            image_path (str): Its image.
            image_size (tuple[int, int]): (width, height) of the image.
            remedy (str): What the user can do if the label cannot be read, for the error message.

        Raises:
            InputError: If the label cannot be read, if its pixels may not be the ids that were
                saved, or if its size does not fit the image.
        """
        label = open_image(path, load=False, remedy=remedy)
        reason = why_no_ids(label)
        if reason:
            raise InputError(
                f'{path} {reason}, but label ids must be an 8-bit {", ".join(LABEL_FORMATS[:-1])} '
                f'or {LABEL_FORMATS[-1]} of mode {" or ".join(LABEL_MODES)}: use the label id '
                f'images of the data set for {self.data_set}, or convert them, as docs/data.md '
                'shows.'
            )
        if self.size_fits(label.size, image_size):
            return
        stored = f'{image_size[0]}x{image_size[1]}'
        if self.size_fits(label.size, image_size[::-1]) and orientation(image_path) > 1:
            raise InputError(
                f'{path} is {label.width}x{label.height}, but its image is stored as {stored} with '
                f'an EXIF rotation, which is not applied: rotate the pixels of {image_path}, as '
                'docs/data.md shows.'
            )
        raise InputError(
            f'{path} is {label.width}x{label.height}, but its image is {stored}: replace the one '
            'that is wrong.'
        )

    def size_fits(self, label_size: tuple[int, int], image_size: tuple[int, int]) -> bool:
        """Return whether a label and an image with these (width, height) may belong together."""
        if self.aspect_tolerance is None:
            return label_size == image_size
        stretch = (label_size[0] * image_size[1]) / (label_size[1] * image_size[0])
        return abs(stretch - 1) <= self.aspect_tolerance

    def map(self, raw_label: np.ndarray, path: str) -> np.ndarray:
        """Map raw label ids to class indices.

        Args:
            raw_label (np.ndarray): (H, W) uint8 raw ids.
            path (str): The file that it was read from, for error messages.

        Returns:
            np.ndarray: (H, W) uint8 class indices, 255 = ignore.

        Raises:
            InputError: If the label is not a single-channel image, or contains an id above
                ``last_id``.
        """
        if raw_label.ndim != 2:
            raise InputError(
                f'{path} is not a single-channel image of label ids (shape {raw_label.shape}): use '
                f'the label id images of the data set for {self.data_set}.'
            )
        # most data sets allow every 8-bit id, and computing the maximum takes time
        if self.last_id < 255 and raw_label.max() > self.last_id:
            raise InputError(f'{path} has the label id {raw_label.max()}, {self.last_id_message}.')
        return self.lookup[raw_label]


def why_no_ids(label: ImageFile) -> str:
    """Return why the pixels of a label may not be the ids that were saved; '' if they are.

    Args:
        label (ImageFile): The header of the label, as ``open_image(load=False)`` returns it.
    """
    if label.format not in LABEL_FORMATS:
        return f'is a {label.format} file'
    if label.mode not in LABEL_MODES:
        return f'has mode {label.mode}'
    if label.format == 'TIFF' and label.info.get('compression') in LOSSY:
        return f'is compressed as {label.info["compression"]}'
    # Pillow scales greyscale of 2 and 4 bits to 0..255, and inverts some TIFF files
    for *_, arguments in label.tile[:1]:
        stored = arguments if isinstance(arguments, str) else (arguments or ('L',))[0]
        if label.mode == 'L' and stored != 'L':
            return f'stores its values as {stored}'
    return ''


def check_label_map(label_map: dict[int, int], num_classes: int, domain: str) -> None:
    """Check a map from raw ids to class indices.

    Args:
        label_map (dict[int, int]): ``{raw id: class index}``.
        num_classes (int): 7 or 19.
        domain (str): Name of the domain, for the error message.

    Raises:
        InputError: If the number of classes is unknown, or an id or a class is out of range.
    """
    classes = (*range(len(label_space(num_classes).classes)), IGNORE_INDEX)
    wrong = {
        raw: index
        for raw, index in label_map.items()
        if index not in classes or raw not in range(256)
    }
    if wrong:
        raise InputError(
            f'label_map of {domain} has {wrong}, but a raw id must be 0 to 255 and a class index '
            f'0 to {num_classes - 1}, or 255 to ignore.'
        )
