"""3×3 convolutions so dilated that most of their taps see nothing but padding.

A 320×160 crop has 21×41 features. Of the nine taps of a convolution dilated by 24, six see padding
alone, and two others all but 17 of the 41 columns: four fifths of its multiplications are by zero.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# what one tap adds where: number of the tap; images, rows and columns of the input, of the output
Window = tuple[int, tuple[slice, slice, slice], tuple[slice, slice, slice]]


def useful_share(size: Sequence[int], dilation: int) -> float:
    """The share of a padded 3×3 convolution's multiplications that are not by padding.

    Args:
        size (Sequence[int]): (h, w) of the features.
        dilation (int): Of the convolution, and its padding.

    Returns:
        float: From 1/9, when only the middle tap sees anything, to 1.
    """
    rows, columns = (1 + 2 * max(0, 1 - dilation / length) for length in size)
    return rows * columns / 9


def windows(size: Sequence[int], dilation: int) -> Iterator[Window]:
    """The taps that see something, the middle one left out, each with what it sees and where to."""
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
    """A dilated 3×3 convolution as one matrix product for each tap's window."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, dilation: int) -> Tensor:
        """(B, h, w, C) features and (9, O, C) weights to (B, h, w, O)."""
        ctx.save_for_backward(features, weight)
        ctx.dilation = dilation
        # flat, since a product of four-dimensional windows is a slow batch of many small ones
        result = (features.flatten(0, 2) @ weight[4].t()).view(*features.shape[:3], -1)
        for tap, seen, place in windows(features.shape[1:3], dilation):
            part = result[place]
            window = features[seen].flatten(0, 2)
            part += (window @ weight[tap].t()).view(part.shape)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """Gradients of features and weights."""
        features, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        of_features = (gradient.flatten(0, 2) @ weight[4]).view(features.shape)
        of_weight = torch.zeros_like(weight)
        of_weight[4] = gradient.flatten(0, 2).t() @ features.flatten(0, 2)
        for tap, seen, place in windows(features.shape[1:3], ctx.dilation):
            part = gradient[place].flatten(0, 2)
            window = features[seen]
            of_weight[tap] = part.t() @ window.flatten(0, 2)
            of_features[seen] += (part @ weight[tap]).view(window.shape)
        return of_features, of_weight, None


def dilated_convolution(
    features: Tensor, weight: Tensor, dilation: int, window_share: float
) -> Tensor:
    """A 3×3 convolution whose padding is its dilation, without bias.

    Args:
        features (Tensor): (B, C, h, w).
        weight (Tensor): (O, C, 3, 3), of the same kind.
        dilation (int): Of the convolution.
        window_share (float): Below this :func:`useful_share` a convolution that trains is computed
            window by window, which leaves out what sees padding. A library's convolution may leave
            it out too, but not in its gradients.

    Returns:
        Tensor: (B, O, h, w).
    """
    trains = torch.is_grad_enabled()
    if not trains or useful_share(features.shape[2:], dilation) >= window_share:
        return F.conv2d(features, weight, padding=dilation, dilation=dilation)
    taps = weight.permute(2, 3, 0, 1).flatten(0, 1).contiguous()
    last = features.permute(0, 2, 3, 1).contiguous()
    return WindowConvolution.apply(last, taps, dilation).permute(0, 3, 1, 2)
