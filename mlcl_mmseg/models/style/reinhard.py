"""Reinhard colour transfer on tensors (method.md §4; Reinhard et al., CG&A 2001).

The colour space is OpenCV's 8-bit L*a*b*: sRGB primaries, D65 white, L scaled to 0 to 255, a and b
shifted by 128.
"""

from collections.abc import Sequence

import numpy as np
import torch
from mmseg.registry import MODELS
from torch import Tensor

from .transfer import StyleTransfer

WHITE = np.array([0.950456, 1.0, 1.088754])
# matrices from linear RGB to XYZ relative to white, and back
RGB_TO_XYZ = (
    np.array(
        [
            [0.412453, 0.357580, 0.180423],
            [0.212671, 0.715160, 0.072169],
            [0.019334, 0.119193, 0.950227],
        ]
    )
    / WHITE[:, None]
)
XYZ_TO_RGB = np.linalg.inv(RGB_TO_XYZ)
# below this value the cube root of L*a*b* is replaced by a line; rounded as in OpenCV
CUBE_ROOT_END = 0.008856
SLOPE, OFFSET = 7.787, 16 / 116


def _mix(matrix: np.ndarray, image: Tensor) -> Tensor:
    """Multiply the channels of (B, 3, H, W) by a (3, 3) matrix, which stays on the host."""
    r, g, b = image.unbind(1)
    return torch.stack([row[0] * r + row[1] * g + row[2] * b for row in matrix.tolist()], dim=1)


def _power(values: Tensor, exponent: float) -> Tensor:
    """Compute a power of positive values, three times as fast as torch.pow on CPUs."""
    return values.log2().mul_(exponent).exp2_()


def _select(condition: Tensor, values: Tensor, others: Tensor) -> Tensor:
    """Take ``values`` where the condition holds, else ``others``; faster than torch.where on CPUs.

    Everything must be finite.
    """
    return torch.addcmul(others, values - others, condition.to(values.dtype))


def rgb_to_lab(image: Tensor) -> Tensor:
    """Convert RGB to L*a*b* on OpenCV's 8-bit scale.

    Args:
        image (Tensor): (B, 3, H, W) RGB from 0 to 1.

    Returns:
        Tensor: (B, 3, H, W) values from about 0 to 255, not rounded.
    """
    linear = _select(image > 0.04045, _power((image + 0.055) / 1.055, 2.4), image / 12.92)
    xyz = _mix(RGB_TO_XYZ, linear)
    root = _power(xyz.clamp(min=CUBE_ROOT_END), 1 / 3)
    x, y, z = _select(xyz > CUBE_ROOT_END, root, SLOPE * xyz + OFFSET).unbind(1)
    return torch.stack(
        [(116 * y - 16) * (255 / 100), 500 * (x - y) + 128, 200 * (y - z) + 128], dim=1
    )


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Invert :func:`rgb_to_lab`; colours outside the gamut are clipped.

    Args:
        lab (Tensor): (B, 3, H, W) L*a*b* on OpenCV's 8-bit scale.

    Returns:
        Tensor: (B, 3, H, W) RGB from 0 to 1.
    """
    lightness, a, b = lab.unbind(1)
    y = (lightness * (100 / 255) + 16) / 116
    f = torch.stack([y + (a - 128) / 500, y, y - (b - 128) / 200], dim=1)
    xyz = _select(f > SLOPE * CUBE_ROOT_END + OFFSET, f * f * f, (f - OFFSET) / SLOPE)
    linear = _mix(XYZ_TO_RGB, xyz).clamp_(0, 1)
    root = _power(linear.clamp(min=0.0031308), 1 / 2.4)
    return _select(linear > 0.0031308, 1.055 * root - 0.055, 12.92 * linear)


def mean_and_std(image: Tensor) -> tuple[Tensor, Tensor]:
    """Compute mean and population standard deviation of each channel.

    The values must be whole numbers. float64 sums them exactly, so that a constant channel has the
    standard deviation 0.

    Args:
        image (Tensor): (B, 3, H, W) whole numbers.

    Returns:
        tuple[Tensor, Tensor]: Mean and standard deviation, (B, 3, 1, 1) each.
    """
    count = image.shape[2] * image.shape[3]
    total = image.sum((2, 3), keepdim=True, dtype=torch.float64)
    squares = image.square().sum((2, 3), keepdim=True, dtype=torch.float64)
    mean = total / count
    variance = (squares - mean * total).clamp(min=0) / count
    return mean.to(image.dtype), variance.sqrt().to(image.dtype)


def whole_lab(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Convert RGB images to rounded L*a*b*.

    Args:
        image (Tensor): (B, 3, H, W) RGB from 0 to 1.

    Returns:
        tuple[Tensor, Tensor, Tensor]: L*a*b* (B, 3, H, W) on OpenCV's 8-bit scale, and mean and
        standard deviation of each channel, (B, 3, 1, 1) each.
    """
    lab = rgb_to_lab(image).round_()
    return lab, *mean_and_std(lab)


def match_statistics(content: Sequence[Tensor], style: Sequence[Tensor]) -> Tensor:
    """Give L*a*b* images the statistics of others, and convert them to RGB.

    Args:
        content (Sequence[Tensor]): The images to change, as :func:`whole_lab` returns them.
        style (Sequence[Tensor]): The images whose statistics are taken.

    Returns:
        Tensor: (B, 3, H, W) RGB from 0 to 1 in steps of 1/255.
    """
    (lab, mean, std), (_, style_mean, style_std) = content, style
    scale = torch.where(std > 0, style_std / std, 0)
    result = torch.addcmul(style_mean - mean * scale, lab, scale)
    return lab_to_rgb(result.clamp_(0, 255).floor_()).mul_(255).round_().div_(255)


@torch.no_grad()
def reinhard_transfer(content: Tensor, style: Tensor) -> Tensor:
    """Transfer the colours of each style image to the content image at the same batch index.

    Each L*a*b* channel is shifted and scaled to the style's mean and population standard
    deviation. As in the 8-bit original, L*a*b* values are rounded before and truncated after this
    operation. A constant channel remains constant, with the style's mean.

    Args:
        content (Tensor): (B, 3, H, W) RGB from 0 to 1.
        style (Tensor): (B, 3, h, w) RGB from 0 to 1.

    Returns:
        Tensor: (B, 3, H, W) RGB from 0 to 1 in steps of 1/255, without gradient.
    """
    return match_statistics(whole_lab(content), whole_lab(style))


@MODELS.register_module()
class ReinhardTransfer(StyleTransfer):
    """:func:`reinhard_transfer` as a module that a config can replace."""

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """Transfer the colours of ``style`` to ``content``, see :func:`reinhard_transfer`."""
        return reinhard_transfer(content, style)

    @torch.no_grad()
    def pairs(self, pairs: Sequence[tuple[Tensor, Tensor]]) -> Sequence[Tensor]:
        """Transfer the colours of several pairs; each batch is converted to L*a*b* once."""
        batches = {id(each): each for pair in pairs for each in pair}
        labs = whole_lab(torch.cat([*batches.values()]))
        colours = dict(zip(batches, zip(*(each.chunk(len(batches)) for each in labs))))
        content, style = (
            [torch.cat(each) for each in zip(*(colours[id(batch)] for batch in side))]
            for side in zip(*pairs)
        )
        return match_statistics(content, style).chunk(len(pairs))
