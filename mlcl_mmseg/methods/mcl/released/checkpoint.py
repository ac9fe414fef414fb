"""Released checkpoints become those of MMSegmentation."""

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

# the released program's class of the network, and the backbone that it has here
BACKBONES = dict(ResNet='DeepLabV2ResNet', VGG='DeepLabV2VGG', SegFormer='MixTransformer')
CLASSIFIER = re.compile(r'layer5_list\.(\d+)\.head\.1\.weight$')


class ReleasedNetwork(NamedTuple):
    """The network of a released checkpoint.

    ``name`` is the class under which it is stored, ``state_dict`` its tensors by released name;
    ``iteration`` and ``best_miou`` (percent, or None) are as recorded; ``left_out`` are the names
    of other networks in the file.
    """

    name: str
    state_dict: dict[str, Tensor]
    iteration: int | None
    best_miou: float | None
    left_out: list[str]

    @property
    def backbone(self) -> str:
        """The class of the backbone here."""
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
    """The network in a released checkpoint.

    Args:
        checkpoint (Any): ``{class: {'model_state': {name: Tensor}}, 'iter': int, 'best_iou':
            float}``, where discriminators may be stored like the network.
        path (str): Its file, for the message.

    Raises:
        InputError: If it has another form.
    """
    entries = checkpoint if isinstance(checkpoint, dict) else {}
    states = {
        str(name): entry['model_state']
        for name, entry in entries.items()
        if isinstance(entry, dict) and isinstance(entry.get('model_state'), dict)
    }
    networks = [name for name in states if name.rstrip('0123456789') in BACKBONES]
    if len(networks) != 1:
        found = ', '.join(map(str, entries)) or type(checkpoint).__name__
        raise InputError(
            f'{path} is no checkpoint of the released program, it holds {found}: give one with '
            f'the tensors of a {", ".join(BACKBONES)}.'
        )
    name = networks[0]
    state_dict = states.pop(name)
    for key, value in state_dict.items():
        if not (
            isinstance(key, str) and isinstance(value, Tensor) and value.layout is torch.strided
        ):
            raise InputError(f'{path} is damaged, {key} of its {name} is no tensor: get it again.')
    return ReleasedNetwork(
        name,
        # as nn.DataParallel would name them
        {key.removeprefix('module.'): value for key, value in state_dict.items()},
        number(entries.get('iter'), int),
        number(entries.get('best_iou'), float),
        list(states),
    )


def number(value: Any, kind: type) -> Any:
    """What a checkpoint records, as a plain number; None if it is no number."""
    return kind(value) if isinstance(value, int | float | np.number) else None


def convert(network: ReleasedNetwork, model: MultiTargetSegmentor, config: str) -> dict:
    """A checkpoint that a model loads strictly.

    Args:
        network (ReleasedNetwork): From a released checkpoint.
        model (MultiTargetSegmentor): Built from the config; says what is needed.
        config (str): The config's file, for the message.

    Returns:
        dict: ``meta`` and ``state_dict``, as MMEngine has it.

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
            f'{config} has no place for {next(iter(missing))} and {len(missing) - 1} other '
            f'tensors: {REMEDY}.'
        )
    meta = dict(
        iter=network.iteration,
        released=dict(network=network.name, best_mIoU=network.best_miou),
        dataset_meta=label_space(model.num_classes)._asdict(),
    )
    return dict(meta=meta, state_dict=state_dict)


def join(parts: dict[str, Tensor | None], wanted: Tensor, config: str) -> Tensor:
    """One tensor of ours from those that the released program has for it.

    Args:
        parts (dict[str, Tensor | None]): By released name; None where the checkpoint has none.
        wanted (Tensor): Ours as the model has it, for its shape and type.
        config (str): The config's file, for the message.

    Returns:
        Tensor: Of the wanted shape.

    Raises:
        InputError: If a part is missing or of another shape or type.
    """
    found: dict[str, Tensor] = {}
    for name, part in parts.items():
        if part is None:
            raise InputError(f'The checkpoint lacks {name}, which {config} needs: {REMEDY}.')
        found[name] = part
    shapes: list[Sequence[int]] = [wanted.shape]
    if len(parts) == 2:
        # keys and values are twice as many as queries
        third, rest = len(wanted) // 3, wanted.shape[1:]
        shapes = [(third, *rest), (2 * third, *rest)]
    for (name, part), shape in zip(found.items(), shapes):
        # linear layers of the released MiT are 1×1 convolutions here
        fits = tuple(part.shape) == tuple(shape) or (*part.shape, 1, 1) == tuple(shape)
        if not fits or part.is_floating_point() != wanted.is_floating_point():
            raise InputError(
                f'{name} is {part.dtype} of shape {tuple(part.shape)}, but {config} needs '
                f'{wanted.dtype} of {tuple(shape)}: {REMEDY}.'
            )
    values = list(found.values())
    return (torch.cat(values) if len(values) > 1 else values[0]).reshape(wanted.shape)


REMEDY = 'give the config of the same stage, targets, classes and backbone'


def check_fit(network: ReleasedNetwork, model: MultiTargetSegmentor, config: str) -> None:
    """Say what is wrong in the user's words, before it shows in the name of a tensor.

    Raises:
        InputError: If the backbone or the number of classifiers or classes differs.
    """
    backbone = type(model.backbone).__name__
    if network.backbone != backbone:
        raise InputError(
            f'The checkpoint is of a {network.name}, but {config} has a {backbone}: {REMEDY}.'
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
