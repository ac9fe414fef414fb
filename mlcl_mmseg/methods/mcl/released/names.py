"""The names under which the released program stores the tensors of a segmentor."""

import re
from functools import partial

# from ours to theirs, by our backbone; ResNet and VGG have the same names in both
BACKBONE_PARTS = dict(
    MixTransformer=(
        (r'backbone\.layers\.(\d)\.0\.projection\.', 'backbone.patch_embed{}.proj.'),
        (r'backbone\.layers\.(\d)\.0\.norm\.', 'backbone.patch_embed{}.norm.'),
        (r'backbone\.layers\.(\d)\.1\.', 'backbone.block{}.'),
        (r'backbone\.layers\.(\d)\.2\.', 'backbone.norm{}.'),
        (r'attn\.attn\.out_proj\.', 'attn.proj.'),
        (r'ffn\.layers\.0\.', 'mlp.fc1.'),
        (r'ffn\.layers\.1\.', 'mlp.dwconv.dwconv.'),
        (r'ffn\.layers\.4\.', 'mlp.fc2.'),
    )
)
HEAD_PARTS = (
    (r'^branches\.(\d)\.conv\.', r'conv2d_list.\1.0.'),
    (r'^branches\.(\d)\.gn\.', r'conv2d_list.\1.1.'),
    (r'^squeeze_excitation\.excite\.', 'bottleneck.0.se.'),
    (r'^bottleneck\.conv\.', 'bottleneck.1.'),
    (r'^bottleneck\.gn\.', 'bottleneck.2.'),
    (r'^conv_seg\.', 'head.1.'),
)
# attention projects queries apart from keys and values there
IN_PROJECTION = re.compile(r'attn\.in_proj_(weight|bias)$')


def released_names(name: str, backbone: str, num_targets: int) -> list[str]:
    """The released name of a tensor of a multi-target segmentor.

    Args:
        name (str): Its name here.
        backbone (str): Class of the backbone, such as 'DeepLabV2ResNet'.
        num_targets (int): N.

    Returns:
        list[str]: One name, or two whose tensors are this one when concatenated.
    """
    bank, part = name.split('.', 1)
    if bank == 'backbone':
        return released_backbone_names(name, backbone)
    if bank == 'domain_heads':
        number, part = part.split('.', 1)
    else:
        number = str({'decode_head': num_targets, 'ensemble_head': num_targets + 1}[bank])
    for ours, theirs in HEAD_PARTS:
        part = re.sub(ours, theirs, part)
    return [f'layer5_list.{number}.{part}']


def released_backbone_names(name: str, backbone: str) -> list[str]:
    """:func:`released_names` of a tensor whose name begins with 'backbone.'."""
    if backbone not in BACKBONE_PARTS:
        return [name.removeprefix('backbone.')]
    for ours, theirs in BACKBONE_PARTS[backbone]:
        name = re.sub(ours, partial(with_next_numbers, theirs), name)
    if found := IN_PROJECTION.search(name):
        return [f'{name[: found.start()]}{part}.{found[1]}' for part in ('q', 'kv')]
    return [name]


def with_next_numbers(name: str, found: re.Match[str]) -> str:
    """A name with the numbers that were found, plus 1: stages count from 1 there."""
    return name.format(*(int(digit) + 1 for digit in found.groups()))
