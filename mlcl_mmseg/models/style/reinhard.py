"""Reinhard colour transfer on tensors (method.md §4; Reinhard et al., CG&A 2001).

The colour space is OpenCV's 8-bit L*a*b*: sRGB primaries, D65 white, L scaled to 0 to 255, a and b
shifted by 128.
"""

import numpy as np
import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

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


def rgb_to_lab(image: Tensor) -> Tensor:
    """Convert RGB to L*a*b* on OpenCV's 8-bit scale.

    Args:
        image (Tensor): (B, 3, H, W) RGB from 0 to 1.

    Returns:
        Tensor: (B, 3, H, W) values from about 0 to 255, not rounded.
    """
    linear = torch.where(image > 0.04045, ((image + 0.055) / 1.055) ** 2.4, image / 12.92)
    xyz = _mix(RGB_TO_XYZ, linear)
    f = torch.where(
        xyz > CUBE_ROOT_END, xyz.clamp(min=CUBE_ROOT_END) ** (1 / 3), SLOPE * xyz + OFFSET
    )
    x, y, z = f.unbind(1)
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
    xyz = torch.where(f > SLOPE * CUBE_ROOT_END + OFFSET, f**3, (f - OFFSET) / SLOPE)
    linear = _mix(XYZ_TO_RGB, xyz).clamp(0, 1)
    return torch.where(
        linear > 0.0031308, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055, 12.92 * linear
    )


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
    content, style = rgb_to_lab(content).round(), rgb_to_lab(style).round()
    content_mean, content_std = mean_and_std(content)
    style_mean, style_std = mean_and_std(style)
    scale = torch.where(content_std > 0, style_std / content_std, 0)
    result = content * scale + (style_mean - content_mean * scale)
    return (lab_to_rgb(result.clamp(0, 255).floor()) * 255).round() / 255


@MODELS.register_module()
class ReinhardTransfer(nn.Module):
    """:func:`reinhard_transfer` as a module that a config can replace."""

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """Transfer the colours of ``style`` to ``content``, see :func:`reinhard_transfer`."""
        return reinhard_transfer(content, style)
