"""Concatenation of several feature maps."""

from collections.abc import Sequence

import torch
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class ConcatenationNeck(nn.Module):
    """Resize all maps of a backbone to the size of the first one and concatenate them.

    MCL uses this neck between MiT-B5 and the heads (method.md §1).
    """

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor]:
        """Concatenate maps (B, C_i, h_i, w_i) to a tuple of one map (B, ΣC_i, h_0, w_0)."""
        size = inputs[0].shape[2:]
        return (
            torch.cat(
                [
                    resize(level, size, mode='bilinear', align_corners=False, warning=False)
                    for level in inputs
                ],
                dim=1,
            ),
        )
