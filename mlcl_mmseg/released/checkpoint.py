"""Released checkpoints become those of MMSegmentation."""

import re
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..datasets.label_spaces import label_space
from ..errors import InputError
from ..models import MCLSegmentor, MultiTargetSegmentor
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
        return [len(value) for name, value in self.state_dict.items() if CLASSIFIER.match(name)]


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
    if not all(isinstance(value, Tensor) for value in state_dict.values()):
        raise InputError(
            f'{path} is damaged, its {name} does not consist of tensors: get it again.'
        )
    best = entries.get('best_iou')
    iteration = entries.get('iter')
    return ReleasedNetwork(
        name,
        # as nn.DataParallel would name them
        {key.removeprefix('module.'): value for key, value in state_dict.items()},
        None if iteration is None else int(iteration),
        None if best is None else float(best),
        list(states),
    )


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
    state_dict, backbone = {}, type(model.backbone).__name__
    missing = dict(network.state_dict)
    for name, value in model.state_dict().items():
        if name.startswith('discriminators.'):
            continue
        names = released_names(name, backbone, model.num_targets)
        parts = [missing.pop(each, None) for each in names]
        if any(part is None for part in parts):
            raise InputError(f'The checkpoint lacks {names[0]}, which {config} needs: {REMEDY}.')
        found = torch.cat(parts) if len(parts) > 1 else parts[0]
        # linear layers of the released MiT are 1×1 convolutions here
        if found.numel() != value.numel() or found.shape[:2] != value.shape[:2]:
            raise InputError(
                f'{names[0]} has the shape {tuple(found.shape)}, but {config} needs '
                f'{tuple(value.shape)}: {REMEDY}.'
            )
        state_dict[name] = found.reshape(value.shape)
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


REMEDY = 'give the config of the same stage, targets, classes and backbone'


def check_fit(network: ReleasedNetwork, model: nn.Module, config: str) -> None:
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
        raise InputError(
            f'The checkpoint has {found} classifiers, which is a warm-up for {found} targets or '
            f'MCL for {found - 2}, but {config} has {wanted}: {REMEDY}.'
        )
    if set(network.num_classes) != {model.num_classes}:
        raise InputError(
            f'The checkpoint has {network.num_classes[0]} classes, but {config} has '
            f'{model.num_classes}: {REMEDY}.'
        )
