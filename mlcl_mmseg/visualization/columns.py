"""Columns of a contact sheet as tensors, which are painted elsewhere.

A method selects the tensors to show of a batch; they are painted in the same way for all methods.
"""

from typing import NamedTuple

from torch import Tensor


class Images(NamedTuple):
    """Images to show unchanged.

    Attributes:
        images (Tensor): (B, 3, H, W) RGB from 0 to 1.
    """

    images: Tensor


class Classes(NamedTuple):
    """Class indices painted over their images, hatched where they are ignored.

    Attributes:
        images (Tensor): (B, 3, H, W) RGB from 0 to 1.
        indices (Tensor): (B, h, w) class indices of any size, 255 = ignore.
    """

    images: Tensor
    indices: Tensor


class Shares(NamedTuple):
    """Values such as probabilities, painted in grey.

    Attributes:
        shares (Tensor): (B, h, w) from 0 (black) to 1 (white).
    """

    shares: Tensor


# columns by their headings, in the order in which they are shown
Columns = dict[str, Images | Classes | Shares]
