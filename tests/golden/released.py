"""Between the names of the released program and ours; golden files."""

import json
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from mlcl_mmseg.methods.mcl.released.names import released_names

from .seeded import seeded_array

DATA = Path(__file__).parent / 'data'


def load_seeded(model: nn.Module) -> dict[str, str]:
    """Give a segmentor with a ResNet the golden weights; returns ``{released name: our name}``."""
    names = {name: golden_name(name, model) for name in model.state_dict()}
    state_dict = {
        name: seeded_tensor(names[name], value.shape) for name, value in model.state_dict().items()
    }
    model.load_state_dict(state_dict)
    return {theirs: ours for ours, theirs in names.items()}


def golden_name(name: str, model: nn.Module) -> str:
    """The released name of a tensor, or the seed name of a discriminator's."""
    if name.startswith('discriminators.'):
        return name.replace('discriminators.', 'discriminator.')
    (released,) = released_names(name, 'DeepLabV2ResNet', model.num_targets)
    return released


def seeded_tensor(name: str, shape: Sequence[int]) -> Tensor:
    """The golden weights of a released name."""
    return torch.from_numpy(np.asarray(seeded_array(name, tuple(shape))))


def released_checkpoint(keys: str) -> dict:
    """A checkpoint as the released program stores it, with the golden weights."""
    listed = json.loads((DATA / f'keys_{keys}.json').read_text())
    state = {name: seeded_tensor(name, shape) for name, shape in listed['keys'].items()}
    return {
        listed['class']: dict(model_state=OrderedDict(state)),
        'FCDiscriminator': dict(model_state=OrderedDict(weight=torch.zeros(1))),
        'iter': 56000,
        'best_iou': stored_number(73.26),
    }


def stored_number(value: float) -> float:
    """A number as in released checkpoints: NumPy's, which PyTorch 2.1 does not read safely."""
    return np.float64(value) if hasattr(torch.serialization, 'safe_globals') else value


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


def build_segmentor(
    kind: str, num_targets: int, backbone: dict, num_classes: int = 7, **kwargs
) -> nn.Module:
    """A segmentor without dropout."""
    in_channels = 2048 if backbone['type'] == 'DeepLabV2ResNet' else 1024
    if backbone['type'] == 'MixTransformer':
        kwargs['neck'] = dict(type='ConcatenationNeck')
    if kind == 'AdversarialWarmup':
        kwargs['discriminator'] = dict(type='DomainDiscriminator', num_classes=num_classes)
    return MODELS.build(
        dict(
            type=kind,
            targets=[f't{index}' for index in range(num_targets)],
            backbone=backbone,
            decode_head=dict(
                type='DeepLabV2Head',
                in_channels=in_channels,
                num_classes=num_classes,
                dropout_ratio=0,
            ),
            test_cfg=dict(mode='whole'),
            **kwargs,
        )
    )


def resnet(depth: int, frozen_norm: bool = False) -> dict:
    """Config of a ResNet."""
    norm_cfg = dict(type='BN', requires_grad=not frozen_norm)
    return dict(type='DeepLabV2ResNet', depth=depth, norm_cfg=norm_cfg, norm_eval=frozen_norm)


def norms(names: dict[str, str], tensors: dict[str, Tensor], wanted: dict[str, float]):
    """Norms of tensors by released name."""
    return {theirs: tensors[names[theirs]].norm().item() for theirs in wanted}
