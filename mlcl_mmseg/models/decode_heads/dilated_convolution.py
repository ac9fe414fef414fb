"""3×3 convolutions with such large dilations that most of their taps see only padding.

A crop of 320×160 pixels has 21×41 features. In a convolution dilated by 24, six of the nine taps
see only padding, and two others see only 17 of the 41 columns. Four fifths of the multiplications
are therefore by zero.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# one tap: its number; the images, rows and columns of the input that it sees; those of the output
# to which it contributes
Window = tuple[int, tuple[slice, slice, slice], tuple[slice, slice, slice]]


def useful_share(size: Sequence[int], dilation: int) -> float:
    """Return the share of a padded 3×3 convolution's multiplications that are not with padding.

    Args:
        size (Sequence[int]): Size (h, w) of the features.
        dilation (int): Dilation and padding of the convolution.

    Returns:
        float: From 1/9, if only the middle tap sees features, to 1.
    """
    rows, columns = (1 + 2 * max(0, 1 - dilation / length) for length in size)
    return rows * columns / 9


def windows(size: Sequence[int], dilation: int) -> Iterator[Window]:
    """Yield the window of each tap that sees features, except for the middle tap.

    Args:
        size (Sequence[int]): Size (h, w) of the features.
        dilation (int): Dilation and padding of the convolution.

    Yields:
        Window: The tap, its slices of the input, and its slices of the output.
    """
    every = slice(None)

    def overlap(length: int, shift: int) -> tuple[slice, slice]:
        seen = slice(max(shift, 0), length + min(shift, 0))
        return seen, slice(seen.start - shift, seen.stop - shift)

    for tap in range(9):
        row, column = tap // 3 - 1, tap % 3 - 1
        inside = all(abs(step) * dilation < length for step, length in zip((row, column), size))
        if tap != 4 and inside:
            rows, columns = overlap(size[0], row * dilation), overlap(size[1], column * dilation)
            yield tap, (every, rows[0], columns[0]), (every, rows[1], columns[1])


class WindowConvolution(torch.autograd.Function):
    """A dilated 3×3 convolution, computed as one matrix product per tap."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, dilation: int) -> Tensor:
        """Convolve (B, h, w, C) features with (9, O, C) weights; returns (B, h, w, O)."""
        ctx.save_for_backward(features, weight)
        ctx.dilation = dilation
        # flattened, since a product of 4D windows is computed as a slow batch of small products
        result = (features.flatten(0, 2) @ weight[4].t()).view(*features.shape[:3], -1)
        for tap, seen, place in windows(features.shape[1:3], dilation):
            part = result[place]
            window = features[seen].flatten(0, 2)
            part += (window @ weight[tap].t()).view(part.shape)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """Compute the gradients of features and weights."""
        features, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        of_features = (gradient.flatten(0, 2) @ weight[4]).view(features.shape)
        of_weight = torch.empty_like(weight)
        torch.mm(gradient.flatten(0, 2).t(), features.flatten(0, 2), out=of_weight[4])
        unseen = {*range(9)} - {4}
        for tap, seen, place in windows(features.shape[1:3], ctx.dilation):
            part = gradient[place].flatten(0, 2)
            window = features[seen]
            torch.mm(part.t(), window.flatten(0, 2), out=of_weight[tap])
            of_features[seen] += (part @ weight[tap]).view(window.shape)
            unseen.remove(tap)
        for tap in unseen:
            of_weight[tap].zero_()
        return of_features, of_weight, None


def dilated_convolution(
    features: Tensor, weights: Sequence[Tensor], dilation: int, window_share: float | None
) -> Tensor:
    """Compute 3×3 convolutions of the same input without bias whose padding equals their dilation.

    Args:
        features (Tensor): (B, C, h, w).
        weights (Sequence[Tensor]): (O, C, 3, 3) of each convolution.
        dilation (int): Dilation and padding of the convolutions.
        window_share (float, optional): If :func:`useful_share` is below this value and gradients
            are enabled, the convolutions are computed tap by tap, which skips products with
            padding. A library's convolution may skip them too, but not in its gradients. By
            default, 1 on CPUs and 0 on GPUs.

    Returns:
        Tensor: (B, sum of O, h, w), of the dtype of the features.
    """
    if window_share is None:
        window_share = 0 if features.is_cuda else 1
    weights = [weight.to(features.dtype) for weight in weights]
    trains = torch.is_grad_enabled()
    if not trains or useful_share(features.shape[2:], dilation) >= window_share:
        return F.conv2d(features, torch.cat(weights), padding=dilation, dilation=dilation)
    taps = torch.cat([weight.permute(2, 3, 0, 1).flatten(0, 1) for weight in weights], dim=1)
    last = features.permute(0, 2, 3, 1).contiguous()
    return WindowConvolution.apply(last, taps, dilation).permute(0, 3, 1, 2)
