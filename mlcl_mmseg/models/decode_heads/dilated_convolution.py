"""3×3 convolutions with such large dilations that most of their taps see only padding.

A crop of 320×160 pixels has 21×41 features. In a convolution dilated by 24, six of the nine taps
see only padding, and two others see only 17 of the 41 columns. Four fifths of the multiplications
are therefore by zero.
"""

import itertools
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
    """Dilated 3×3 convolutions of the same features, computed as one matrix product per tap."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, *arguments: Any) -> Tensor:
        """Convolve features; the other arguments are the weights, and at last the dilation.

        Args:
            ctx (Any): Context of the function.
            features (Tensor): (B, h, w, C).
            *arguments: (O, C, 3, 3) weights of each convolution, then the dilation.

        Returns:
            Tensor: (B, h, w, sum of O).
        """
        *weights, dilation = arguments
        ctx.save_for_backward(features, *weights)
        ctx.dilation = dilation
        places = columns_of(weights)
        result = features.new_empty(*features.shape[:3], places[-1].stop)
        # flattened, since a product of 4D windows is computed as a slow batch of small products
        flat, flat_result = features.flatten(0, 2), result.flatten(0, 2)
        for weight, columns in zip(weights, places):
            torch.mm(flat, tap_of(weight, 4).t(), out=flat_result[:, columns])
        for tap, seen, place in windows(features.shape[1:3], dilation):
            window, part = features[seen].flatten(0, 2), result[place]
            for weight, columns in zip(weights, places):
                product = window @ tap_of(weight, tap).t()
                part[..., columns] += product.view(*part.shape[:3], -1)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Compute the gradients of features and weights."""
        features, *weights = ctx.saved_tensors
        gradient = gradient.contiguous()
        places = columns_of(weights)
        of_weights = [torch.empty_like(weight) for weight in weights]

        def products(tap: int, of_result: Tensor, seen: Tensor) -> Tensor:
            """Set the gradients of a tap's weights; return that of the features it sees."""
            parts = [of_result[:, columns] for columns in places]
            for part, of_weight in zip(parts, of_weights):
                torch.mm(part.t(), seen, out=tap_of(of_weight, tap))
            of_seen = parts[0] @ tap_of(weights[0], tap)
            for part, weight in zip(parts[1:], weights[1:]):
                torch.addmm(of_seen, part, tap_of(weight, tap), out=of_seen)
            return of_seen

        of_features = products(4, gradient.flatten(0, 2), features.flatten(0, 2))
        of_features = of_features.view(features.shape)
        unseen = {*range(9)} - {4}
        for tap, seen, place in windows(features.shape[1:3], ctx.dilation):
            of_seen = products(tap, gradient[place].flatten(0, 2), features[seen].flatten(0, 2))
            of_features[seen] += of_seen.view(features[seen].shape)
            unseen.remove(tap)
        for tap in unseen:
            for of_weight in of_weights:
                tap_of(of_weight, tap).zero_()
        return of_features, *of_weights, None


def columns_of(weights: Sequence[Tensor]) -> list[slice]:
    """Return the output channels of each of several convolutions in their joint result."""
    ends = [*itertools.accumulate(len(weight) for weight in weights)]
    return [slice(end - len(weight), end) for weight, end in zip(weights, ends)]


def tap_of(weight: Tensor, tap: int) -> Tensor:
    """Return a view (O, C) of one tap of weights (O, C, 3, 3).

    In the layout channels last, its rows are contiguous, as matrix products need them.
    """
    return weight[:, :, tap // 3, tap % 3]


def concatenated(tensors: Sequence[Tensor]) -> Tensor:
    """Concatenate tensors along the first dimension; a single one is not copied."""
    return torch.cat(list(tensors)) if len(tensors) > 1 else tensors[0]


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
        return F.conv2d(features, concatenated(weights), padding=dilation, dilation=dilation)
    last = features.permute(0, 2, 3, 1).contiguous()
    return WindowConvolution.apply(last, *weights, dilation).permute(0, 3, 1, 2)
