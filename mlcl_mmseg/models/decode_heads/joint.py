"""Several heads on the same features, and one head on the features of several passes.

Any decode head of MMSegmentation can be used. DeepLabV2 heads have a fast path, in which the
branches of all heads are computed by joint convolutions (:func:`branch_maps`).
"""

import itertools
from collections.abc import Sequence

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor
from torch.profiler import record_function

from .deeplabv2_head import DeepLabV2Head, HeadPart, branch_maps

# features of a backbone or neck: (B, C, h, w) for each level
Levels = Sequence[Tensor]


def as_levels(features: Tensor | Levels) -> Levels:
    """Return the features of a backbone or neck as a sequence, also if there is one level."""
    return (features,) if isinstance(features, Tensor) else features


def can_join(heads: Sequence[BaseDecodeHead]) -> bool:
    """Whether heads have the fast path: DeepLabV2 heads on the same level with same dilations."""
    return (
        all(isinstance(head, DeepLabV2Head) and head.input_transform is None for head in heads)
        and len({(head.in_index, head.dilations) for head in heads}) == 1
    )


def head_logits(heads: Sequence[BaseDecodeHead], levels: Levels) -> list[Tensor]:
    """Compute the logits of several heads on the same features.

    Args:
        heads (Sequence[BaseDecodeHead]): One or more heads.
        levels (Levels): The features, (B, C, h, w) for each level.

    Returns:
        list[Tensor]: For each head, logits (B, classes, h, w).
    """
    with record_function('heads'):
        if not can_join(heads):
            return [head(levels) for head in heads]
        maps = branch_maps([HeadPart(head) for head in heads], levels[heads[0].in_index])
        return [head.logits(each) for head, each in zip(heads, maps)]


def widened(decode_head: dict, passes: int) -> dict:
    """Return the config of a head for the concatenated features of several passes.

    Args:
        decode_head (dict): Config of a head for the features of one pass.
        passes (int): Number of passes whose features are concatenated along the channels at each
            level.
    """
    channels = decode_head['in_channels']
    wide = [each * passes for each in channels] if isinstance(channels, list | tuple) else None
    return {**decode_head, 'in_channels': channels * passes if wide is None else wide}


def concatenated_logits(
    heads: Sequence[Sequence[BaseDecodeHead]],
    wide_head: BaseDecodeHead,
    features: Sequence[Levels],
    places: Sequence[int] | None = None,
) -> tuple[list[list[Tensor]], Tensor]:
    """Compute the logits of heads on one pass each and of a :func:`widened` head on all passes.

    The convolutions of the wide head's branches are linear in its input. In the fast path, their
    contribution from each pass is therefore computed jointly with the other heads of that pass, and
    the contributions are added up.

    Args:
        heads (Sequence[Sequence[BaseDecodeHead]]): For each pass, the heads on this pass alone.
        wide_head (BaseDecodeHead): The head on all passes.
        features (Sequence[Levels]): The features of each pass.
        places (Sequence[int], optional): The position of each pass in the wide head's input. By
            default, passes are in the given order.

    Returns:
        tuple[list[list[Tensor]], Tensor]: Logits (B, classes, h, w) of ``heads``, and logits of the
        wide head of the same shape.
    """
    places = range(len(features)) if places is None else places
    if not can_join([*itertools.chain(*heads), wide_head]):
        logits = [head_logits(own, levels) for own, levels in zip(heads, features)]
        in_order = [levels for _, levels in sorted(zip(places, features), key=lambda pair: pair[0])]
        joined = [torch.cat(each, dim=1) for each in zip(*in_order)]
        (wide,) = head_logits([wide_head], joined)
        return logits, wide
    with record_function('heads'):
        channels = wide_head.in_channels // len(features)
        logits, wide_maps = [], []
        for place, own, levels in zip(places, heads, features):
            seen = slice(place * channels, (place + 1) * channels)
            parts = [*map(HeadPart, own), HeadPart(wide_head, seen)]
            *maps, wide_part = branch_maps(parts, levels[wide_head.in_index])
            logits.append([head.logits(each) for head, each in zip(own, maps)])
            wide_maps.append(wide_part)
        return logits, wide_head.logits([sum(branch) for branch in zip(*wide_maps)])
