"""Names of a segmentor's tensors in the authors' released code."""

import re
from functools import partial

# from names here to released names, by class of the backbone here; ResNet and VGG have the same
# names in both
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
# the released attention projects queries separately from keys and values
IN_PROJECTION = re.compile(r'attn\.in_proj_(weight|bias)$')


def released_names(name: str, backbone: str, num_targets: int) -> list[str]:
    """Return the names of a tensor in the authors' released code.

    Args:
        name (str): Name of the tensor in a multi-target segmentor.
        backbone (str): Class of the backbone, such as 'DeepLabV2ResNet'.
        num_targets (int): Number of targets N.

    Returns:
        list[str]: One name, or two names whose concatenated tensors correspond to this tensor.
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
    """Apply :func:`released_names` to a tensor whose name begins with 'backbone.'."""
    if backbone not in BACKBONE_PARTS:
        return [name.removeprefix('backbone.')]
    for ours, theirs in BACKBONE_PARTS[backbone]:
        name = re.sub(ours, partial(with_next_numbers, theirs), name)
    if found := IN_PROJECTION.search(name):
        return [f'{name[: found.start()]}{part}.{found[1]}' for part in ('q', 'kv')]
    return [name]


def with_next_numbers(name: str, found: re.Match[str]) -> str:
    """Insert the matched numbers plus 1 into a name: the released code counts stages from 1."""
    return name.format(*(int(digit) + 1 for digit in found.groups()))
