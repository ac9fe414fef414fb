"""What a style transfer is (method.md §4)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class StyleTransfer(nn.Module):
    """A module that transfers the style of images to others.

    A subclass defines ``forward(content, style)``, which transfers the style of each image of
    ``style`` (B, 3, h, w) to the image at the same index of ``content`` (B, 3, H, W). Images are
    RGB from 0 to 1.
    """

    def pairs(self, pairs: Sequence[tuple[Tensor, Tensor]]) -> Sequence[Tensor]:
        """Transfer the style of several pairs of batches in one call.

        Args:
            pairs (Sequence[tuple[Tensor, Tensor]]): Content and style of each transfer, (B, 3, H,
                W) each, all of the same size.

        Returns:
            Sequence[Tensor]: (B, 3, H, W) for each pair.
        """
        content, style = (torch.cat(each) for each in zip(*pairs))
        return self(content, style).chunk(len(pairs))
