"""Between the names of the released program and ours; golden files."""

import json
import re
from pathlib import Path

import numpy as np
import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from .seeded import seeded_array

DATA = Path(__file__).parent / 'data'

HEAD_PARTS = (
    (r'branches\.(\d)\.conv\.', r'conv2d_list.\1.0.'),
    (r'branches\.(\d)\.gn\.', r'conv2d_list.\1.1.'),
    (r'squeeze_excitation\.excite\.', 'bottleneck.0.se.'),
    (r'bottleneck\.conv\.', 'bottleneck.1.'),
    (r'bottleneck\.gn\.', 'bottleneck.2.'),
    (r'conv_seg\.', 'head.1.'),
)


def released_name(name: str, num_targets: int) -> str:
    """The name under which the released program stores one of our tensors."""
    if name.startswith('backbone.'):
        return name.removeprefix('backbone.')
    if name.startswith('discriminators.'):
        return name.replace('discriminators.', 'discriminator.')
    bank, part = name.split('.', 1)
    if bank == 'domain_heads':
        index, part = part.split('.', 1)
    else:
        index = {'decode_head': num_targets, 'ensemble_head': num_targets + 1}[bank]
    for ours, theirs in HEAD_PARTS:
        part = re.sub(f'^{ours}', theirs, part)
    return f'layer5_list.{index}.{part}'


def load_seeded(model: nn.Module) -> dict[str, str]:
    """Give a segmentor the golden weights; returns ``{released name: our name}``."""
    names = {name: released_name(name, model.num_targets) for name in model.state_dict()}
    state_dict = {
        name: torch.from_numpy(seeded_array(names[name], tuple(value.shape))).view_as(value)
        for name, value in model.state_dict().items()
    }
    model.load_state_dict(state_dict)
    return {theirs: ours for ours, theirs in names.items()}


def read_case(name: str) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays and figures of a golden case."""
    figures = DATA / f'{name}.json'
    return (
        dict(np.load(DATA / f'{name}.npz')),
        json.loads(figures.read_text()) if figures.exists() else {},
    )


def image_tensor(image: np.ndarray) -> Tensor:
    """(B, H, W, 3) uint8 RGB to (B, 3, H, W) from 0 to 1."""
    return torch.from_numpy(image).permute(0, 3, 1, 2).float() / 255


def build_segmentor(kind: str, num_targets: int, depth: int, frozen_norm: bool = False, **kwargs):
    """A 7-class segmentor without dropout."""
    return MODELS.build(
        dict(
            type=kind,
            targets=[f't{index}' for index in range(num_targets)],
            backbone=dict(
                type='DeepLabV2ResNet',
                depth=depth,
                norm_cfg=dict(type='BN', requires_grad=not frozen_norm),
                norm_eval=frozen_norm,
            ),
            decode_head=dict(
                type='DeepLabV2Head', in_channels=2048, num_classes=7, dropout_ratio=0
            ),
            test_cfg=dict(mode='whole'),
            **kwargs,
        )
    )


def norms(names: dict[str, str], tensors: dict[str, Tensor], wanted: dict[str, float]):
    """Norms of tensors by released name."""
    return {theirs: tensors[names[theirs]].norm().item() for theirs in wanted}
