"""How a data set stores its labels, so that transforms can check and map them."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..errors import InputError

# Pillow's modes of 8-bit greyscale and palette images, whose stored values are the ids
LABEL_MODES = ('L', 'P')


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

    def check(self, label: Image.Image, image_size: tuple[int, int], path: str) -> None:
        """Check the mode and size of a label image.

        Args:
            label (Image.Image): The label. Its pixels need not be loaded.
            image_size (tuple[int, int]): (width, height) of its image.
            path (str): The file that it was read from, for error messages.

        Raises:
            InputError: If its pixels cannot be label ids, or its size does not fit the image.
        """
        if label.mode not in LABEL_MODES:
            raise InputError(
                f'{path} has mode {label.mode}, but label ids must be an 8-bit image of mode '
                f'{" or ".join(LABEL_MODES)}: use the label id images of the data set for '
                f'{self.data_set}, or convert them.'
            )
        if not self.size_fits(label.size, image_size):
            raise InputError(
                f'{path} is {label.width}x{label.height}, but its image is '
                f'{image_size[0]}x{image_size[1]}: replace the one that is wrong.'
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
