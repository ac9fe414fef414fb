"""Conversion of the authors' released checkpoints to MMSegmentation's format."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ....errors import InputError
from ....labels import label_space
from ...base import MultiTargetSegmentor
from .. import MCLSegmentor
from .names import released_names

# class of the network in the authors' released code: class of the same backbone here
BACKBONES = dict(ResNet='DeepLabV2ResNet', VGG='DeepLabV2VGG', SegFormer='MixTransformer')
CLASSIFIER = re.compile(r'layer5_list\.(\d+)\.head\.1\.weight$')


class ReleasedNetwork(NamedTuple):
    """The network of a released checkpoint.

    Attributes:
        name (str): The class name under which the network is stored.
        state_dict (dict[str, Tensor]): Its tensors by their names in the released code.
        iteration (int, optional): The recorded iteration.
        best_miou (float, optional): The recorded best mIoU in percent.
        left_out (list[str]): Names of the other networks in the file, which are skipped.
    """

    name: str
    state_dict: dict[str, Tensor]
    iteration: int | None
    best_miou: float | None
    left_out: list[str]

    @property
    def backbone(self) -> str:
        """Name of this project's class of the backbone."""
        return BACKBONES[self.name.rstrip('0123456789')]

    @property
    def num_classes(self) -> list[int]:
        """The number of classes of each classifier."""
        return [
            value.shape[0]
            for name, value in self.state_dict.items()
            if CLASSIFIER.match(name) and value.ndim
        ]


def find_network(checkpoint: Any, path: str) -> ReleasedNetwork:
    """Find the network in a released checkpoint.

    Args:
        checkpoint (Any): ``{class: {'model_state': {name: Tensor}}, 'iter': int, 'best_iou':
            float}``. Discriminators may be stored in the same form as the network.
        path (str): Path of the checkpoint, for error messages.

    Returns:
        ReleasedNetwork: The network.

    Raises:
        InputError: If the checkpoint has another structure.
    """
    entries = checkpoint if isinstance(checkpoint, dict) else {}
    states = {
        str(name): entry['model_state']
        for name, entry in entries.items()
        if isinstance(entry, dict) and isinstance(entry.get('model_state'), dict)
    }
    networks = [name for name in states if name.rstrip('0123456789') in BACKBONES]
    if len(networks) != 1:
        found = ', '.join(map(str, list(entries)[:5])) or type(checkpoint).__name__
        raise InputError(
            f"{path} is not a checkpoint of the authors' released code, it contains {found}: use "
            f'one with the tensors of one network of {", ".join(BACKBONES)}.'
        )
    name = networks[0]
    state_dict = states.pop(name)
    for key, value in state_dict.items():
        if not (
            isinstance(key, str) and isinstance(value, Tensor) and value.layout is torch.strided
        ):
            raise InputError(
                f'{path} is damaged, {key} of its {name} is not a tensor: download it again.'
            )
    return ReleasedNetwork(
        name,
        # nn.DataParallel adds this prefix
        {key.removeprefix('module.'): value for key, value in state_dict.items()},
        number(entries.get('iter'), int),
        number(entries.get('best_iou'), float),
        list(states),
    )


def number(value: Any, python_type: type) -> Any:
    """Convert a recorded number to a Python type; None if it is not a finite number."""
    is_number = isinstance(value, int | float | np.number) and np.isfinite(value)
    return python_type(value) if is_number else None


def convert(network: ReleasedNetwork, model: MultiTargetSegmentor, config: str) -> dict:
    """Convert a released network to a checkpoint that a model loads strictly.

    Args:
        network (ReleasedNetwork): The network of a released checkpoint.
        model (MultiTargetSegmentor): The model built from the config, which defines the tensors.
        config (str): Path of the config, for error messages.

    Returns:
        dict: ``meta`` and ``state_dict``, as in MMEngine's checkpoints.

    Raises:
        InputError: If the config has another backbone, stage, number of targets or classes.
    """
    check_fit(network, model, config)
    state_dict, backbone, num_targets = {}, type(model.backbone).__name__, model.num_targets
    missing = dict(network.state_dict)
    for name, value in model.state_dict().items():
        if name.startswith('discriminators.'):
            continue
        parts = {
            each: missing.pop(each, None) for each in released_names(name, backbone, num_targets)
        }
        state_dict[name] = join(parts, value, config)
    if missing:
        raise InputError(
            f'The model of {config} has no counterpart of {next(iter(missing))} and '
            f'{len(missing) - 1} other tensors of the checkpoint: {REMEDY}.'
        )
    meta = dict(
        iter=network.iteration,
        released=dict(network=network.name, best_mIoU=network.best_miou),
        dataset_meta=label_space(model.num_classes)._asdict(),
    )
    return dict(meta=meta, state_dict=state_dict)


def join(parts: dict[str, Tensor | None], wanted: Tensor, config: str) -> Tensor:
    """Build one tensor of the model from the corresponding tensors of the released code.

    Args:
        parts (dict[str, Tensor | None]): The released tensors by name; None if the checkpoint
            lacks one.
        wanted (Tensor): The model's tensor, for its shape and dtype.
        config (str): Path of the config, for error messages.

    Returns:
        Tensor: A tensor of the wanted shape.

    Raises:
        InputError: If a released tensor is missing, or has another shape or dtype.
    """
    found: dict[str, Tensor] = {}
    for name, part in parts.items():
        if part is None:
            raise InputError(f'The checkpoint lacks {name}, which {config} needs: {REMEDY}.')
        found[name] = part
    shapes: list[Sequence[int]] = [wanted.shape]
    if len(parts) == 2:
        # the second tensor holds keys and values, twice as many rows as queries
        third, rest = len(wanted) // 3, wanted.shape[1:]
        shapes = [(third, *rest), (2 * third, *rest)]
    for (name, part), shape in zip(found.items(), shapes):
        # linear layers of the released MiT correspond to 1×1 convolutions here
        fits = tuple(part.shape) == tuple(shape) or (*part.shape, 1, 1) == tuple(shape)
        if not fits or part.is_floating_point() != wanted.is_floating_point():
            raise InputError(
                f'{name} is {part.dtype} of shape {tuple(part.shape)}, but {config} needs '
                f'{wanted.dtype} of {tuple(shape)}: {REMEDY}.'
            )
    values = list(found.values())
    return (torch.cat(values) if len(values) > 1 else values[0]).reshape(wanted.shape)


REMEDY = 'use the config of the same stage, targets, classes and backbone'


def check_fit(network: ReleasedNetwork, model: MultiTargetSegmentor, config: str) -> None:
    """Refuse a network that does not fit, before a comparison of tensors would fail.

    Args:
        network (ReleasedNetwork): The network of a released checkpoint.
        model (MultiTargetSegmentor): The model built from the config.
        config (str): Path of the config, for error messages.

    Raises:
        InputError: If the backbone or the number of classifiers or classes differs.
    """
    backbone = type(model.backbone).__name__
    if network.backbone != backbone:
        raise InputError(
            f'The checkpoint contains {network.name}, but {config} has {backbone}: {REMEDY}.'
        )
    wanted = model.num_targets + (2 if isinstance(model, MCLSegmentor) else 0)
    found = len(network.num_classes)
    if found != wanted:
        meaning = f', which is a warm-up for {found} targets' if found else ''
        meaning += f' or MCL for {found - 2}' if found > 2 else ''
        raise InputError(
            f'The checkpoint has {found} classifiers{meaning}, but {config} has {wanted}: {REMEDY}.'
        )
    if set(network.num_classes) != {model.num_classes}:
        raise InputError(
            f'The checkpoint has {network.num_classes[0]} classes, but {config} has '
            f'{model.num_classes}: {REMEDY}.'
        )
