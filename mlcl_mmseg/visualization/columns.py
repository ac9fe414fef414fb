"""What a method shows of a batch: columns of pictures, which are painted elsewhere.

A method knows which tensors are worth a look; how they are painted is the same for all methods.
"""

from typing import NamedTuple

from torch import Tensor


class Images(NamedTuple):
    """Images as they are.

    Attributes:
        images (Tensor): (B, 3, H, W) RGB from 0 to 1.
    """

    images: Tensor


class Classes(NamedTuple):
    """Class indices painted over their images, hatched where they are ignored.

    Attributes:
        images (Tensor): (B, 3, H, W) RGB from 0 to 1.
        indices (Tensor): (B, h, w) class indices, 255 = ignore; of any size.
    """

    images: Tensor
    indices: Tensor


class Shares(NamedTuple):
    """Values such as probabilities, painted in grey.

    Attributes:
        shares (Tensor): (B, h, w) from 0 (black) to 1 (white).
    """

    shares: Tensor


# by their headings, in the order in which they are shown
Columns = dict[str, Images | Classes | Shares]
