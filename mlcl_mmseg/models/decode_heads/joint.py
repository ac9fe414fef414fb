"""Several heads on the same features, and one head on the features of several passes.

Any decode head of MMSegmentation serves. Heads of DeepLabV2 have a fast path: what they share is
computed once, as one convolution (:func:`branch_maps`).
"""

import itertools
from collections.abc import Sequence

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor
from torch.profiler import record_function

from .deeplabv2_head import DeepLabV2Head, HeadPart, branch_maps

# what a backbone or neck returns: (B, C, h, w) of each level
Levels = Sequence[Tensor]


def as_levels(features: Tensor | Levels) -> Levels:
    """The features of a backbone or neck as a sequence; some return a single level as it is."""
    return (features,) if isinstance(features, Tensor) else features


def can_join(heads: Sequence[BaseDecodeHead]) -> bool:
    """Whether heads have the fast path: all are of DeepLabV2, on one level, dilated alike."""
    return (
        all(isinstance(head, DeepLabV2Head) and head.input_transform is None for head in heads)
        and len({(head.in_index, head.dilations) for head in heads}) == 1
    )


def head_logits(heads: Sequence[BaseDecodeHead], levels: Levels) -> list[Tensor]:
    """What several heads make of the same features.

    Args:
        heads (Sequence[BaseDecodeHead]): At least one.
        levels (Levels): The features.

    Returns:
        list[Tensor]: Of each head, logits (B, classes, h, w).
    """
    with record_function('heads'):
        if not can_join(heads):
            return [head(levels) for head in heads]
        maps = branch_maps([HeadPart(head) for head in heads], levels[heads[0].in_index])
        return [head.logits(each) for head, each in zip(heads, maps)]


def widened(decode_head: dict, passes: int) -> dict:
    """The config of a head for the concatenated features of several passes.

    Args:
        decode_head (dict): Config of a head for the features of one pass.
        passes (int): How many passes are concatenated along the channels, level by level.
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
    """What heads make of one pass each, and a :func:`widened` head of all passes together.

    In the fast path the wide head's branches are linear in its input, so that each pass's part of
    them is computed with the other heads of that pass, and the parts are added up.

    Args:
        heads (Sequence[Sequence[BaseDecodeHead]]): Of each pass, the heads that see it alone.
        wide_head (BaseDecodeHead): The head that sees all passes.
        features (Sequence[Levels]): Of each pass.
        places (Sequence[int], optional): The place of each pass in the wide head's input; by
            default in the order given.

    Returns:
        tuple[list[list[Tensor]], Tensor]: Logits (B, classes, h, w) of ``heads``, and those of the
        wide head.
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
