"""Several heads on the features of several passes.

Any decode head of MMSegmentation can be used. DeepLabV2 heads have a fast path: each head is
computed once on all features that it sees, and heads that see the same features share the
convolutions of their branches (:func:`branch_maps`).
"""

import itertools
from collections.abc import Sequence

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor
from torch.profiler import record_function

from ..norms import batch_norms
from .deeplabv2_head import DeepLabV2Head, branch_maps
from .dilated_convolution import concatenated

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
        weights = [head.branch_weights() for head in heads]
        maps = branch_maps(heads[0], weights, levels[heads[0].in_index])
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


def logits_of_passes(
    features: Sequence[Levels],
    heads: Sequence[Sequence[BaseDecodeHead]],
    wide_head: BaseDecodeHead | None = None,
    wide_inputs: Sequence[Sequence[int]] = (),
) -> tuple[list[list[Tensor]], list[Tensor]]:
    """Compute the logits of heads on one pass each and of a :func:`widened` head on several passes.

    Args:
        features (Sequence[Levels]): The features of each pass, all of the same size.
        heads (Sequence[Sequence[BaseDecodeHead]]): For each pass, the heads on this pass alone.
        wide_head (BaseDecodeHead, optional): The head on several passes.
        wide_inputs (Sequence[Sequence[int]]): For each application of the wide head, the numbers
            of the passes whose features it sees, in the order of their channels.

    Returns:
        tuple[list[list[Tensor]], list[Tensor]]: Logits (B, classes, h, w) of ``heads``, and of each
        application of the wide head.
    """
    every = [*itertools.chain(*heads), *([] if wide_head is None else [wide_head])]
    # batch statistics of a head are those of one pass
    if can_join(every) and not batch_norms(every):
        with record_function('heads'):
            levels = [each[every[0].in_index] for each in features]
            return joint_logits(levels, heads, wide_head, wide_inputs)
    logits = [head_logits(own, levels) for own, levels in zip(heads, features)]
    wide = []
    for passes in wide_inputs:
        joined = [torch.cat(level, dim=1) for level in zip(*(features[each] for each in passes))]
        wide += head_logits([wide_head], joined)
    return logits, wide


def joint_logits(
    features: Sequence[Tensor],
    heads: Sequence[Sequence[DeepLabV2Head]],
    wide_head: DeepLabV2Head | None,
    wide_inputs: Sequence[Sequence[int]],
) -> tuple[list[list[Tensor]], list[Tensor]]:
    """Compute :func:`logits_of_passes` for DeepLabV2 heads on one level.

    The convolutions of the wide head's branches are linear in its input. Their contributions from
    the passes at each place of its input are therefore computed separately and added up.

    Args:
        features (Sequence[Tensor]): (B, C, h, w) for each pass.
        heads (Sequence[Sequence[DeepLabV2Head]]): See :func:`logits_of_passes`.
        wide_head (DeepLabV2Head, optional): See :func:`logits_of_passes`.
        wide_inputs (Sequence[Sequence[int]]): See :func:`logits_of_passes`.
    """
    narrow = list(dict.fromkeys(itertools.chain(*heads)))
    weights = [head.branch_weights() for head in narrow]
    # the passes that see each set of weights
    seen = [tuple(n for n, own in enumerate(heads) if head in own) for head in narrow]
    if wide_head is not None:
        places = list(zip(*wide_inputs))
        weights += wide_head.branch_weights_of_places(len(places))
        seen += places
    maps: list[list[Tensor]] = [[]] * len(weights)
    for passes in dict.fromkeys(seen):
        parts = [number for number, each in enumerate(seen) if each == passes]
        joined = concatenated([features[each] for each in passes])
        found = branch_maps(wide_head or narrow[0], [weights[part] for part in parts], joined)
        for part, each in zip(parts, found):
            maps[part] = each
    results = {
        (head, number): result
        for head, passes, each in zip(narrow, seen, maps)
        for number, result in zip(passes, head.logits(each).chunk(len(passes)))
    }
    logits = [[results[head, number] for head in own] for number, own in enumerate(heads)]
    if wide_head is None:
        return logits, []
    wide_maps = [sum(branch) for branch in zip(*maps[len(narrow) :])]
    return logits, list(wide_head.logits(wide_maps).chunk(len(wide_inputs)))
