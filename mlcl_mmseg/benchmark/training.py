"""A network that takes the training steps of a config, on batches that lie ready in memory."""

import copy
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from mmseg.registry import HOOKS, MODELS
from torch import Tensor

from ..config_check import parameters_of
from ..engine.precision import use_precision
from ..engine.stream_train_loop import seed_step
from ..methods.base import DomainSegmentor
from ..models.train_step import AsyncBool
from ..pseudo_labels.teacher import Teacher
from .inputs import random_batch, sizes_of

# batches that a measurement takes in turn, so that none is found in a cache
NUM_BATCHES = 3


class StepRunner(NamedTuple):
    """What a hook that trains a part of the network reads of a runner."""

    model: DomainSegmentor
    optim_wrapper: OptimWrapper | OptimWrapperDict


class Training:
    """The network of a config with its optimisers, as a run has them, but with random weights.

    The weights depend only on the config, so that two trainings on two devices start equal.

    Args:
        config (Config): The config. It is not changed.
        segmentor (DomainSegmentor): Its network, see :func:`build_segmentor`.
        precision (str): A precision of :func:`~mlcl_mmseg.engine.precision.use_precision`.

    Attributes:
        segmentor (DomainSegmentor): The network in training mode, with a teacher if the config has
            ``TeacherHook``.
        applied (list[AsyncBool]): For each step, whether the network was updated.
    """

    def __init__(self, config: Config, segmentor: DomainSegmentor, precision: str) -> None:
        config = copy.deepcopy(config)
        use_precision(config.optim_wrapper, precision)
        self.segmentor = segmentor.train()
        if hook_of(config, 'TeacherHook') is not None:
            self.segmentor.teacher = Teacher(self.segmentor)
        self.optim_wrapper = build_optim_wrapper(self.segmentor, config.optim_wrapper)
        self.applied: list[AsyncBool] = []
        self.runner = StepRunner(self.segmentor, self.optim_wrapper)
        self.hooks = separate_hooks(config, self.segmentor)
        for hook in self.hooks:
            hook.before_train(self.runner)

    def step(self, batch: dict) -> dict[str, Tensor]:
        """Take one step on a batch of the training loader, and return the scalars to log."""
        iteration = len(self.applied)
        seed_step(0, iteration)
        figures = self.segmentor.train_step(batch, self.optim_wrapper)
        for hook in self.hooks:
            hook.after_train_iter(self.runner, iteration, batch, figures)
        self.applied.append(self.segmentor.step_is_finite)
        return figures


def build_segmentor(config: Config, device: str) -> DomainSegmentor:
    """Build the segmentor of a config with random weights, which only the config decides."""
    model = copy.deepcopy(config.model)
    model.backbone.init_cfg = None
    torch.manual_seed(0)
    return MODELS.build(model).to(device)


def has_option(config: Config, name: str) -> bool:
    """Whether the model of a config takes an argument."""
    known, _ = parameters_of(MODELS.get(config.model.type))
    return name in known


def hook_of(config: Config, kind: str) -> dict | None:
    """The config of the custom hook of a type; None if there is no such hook."""
    return next((hook for hook in config.get('custom_hooks') or [] if hook.type == kind), None)


def separate_hooks(config: Config, segmentor: DomainSegmentor) -> list[Hook]:
    """The custom hooks that train the parts of a segmentor that have an optimiser of their own."""
    if not segmentor.separate_optimisers:
        return []
    hooks = [HOOKS.build(hook) for hook in config.get('custom_hooks') or []]
    return [hook for hook in hooks if 'after_train_iter' in hook.get_triggered_stages()]


def batches_of(
    config: Config, device: str, size: int | None = None, number: int = NUM_BATCHES
) -> Iterator[dict]:
    """Random batches in turn without end, in pinned memory if they are for a GPU.

    Args:
        config (Config): The config.
        device (str): 'cpu' or 'cuda'.
        size (int, optional): Images of each domain; by default those of the config.
        number (int): Number of different batches.

    Returns:
        Iterator[dict]: Batches as the training loader gives them.
    """
    _, crop = sizes_of(config)
    batches = [random_batch(config, crop, seed, size) for seed in range(number)]
    return itertools.cycle(map(pinned, batches) if device == 'cuda' else batches)


def pinned(value: Any) -> Any:
    """Copy the tensors of a nested batch to pinned memory, as a loader with ``pin_memory`` does."""
    if isinstance(value, Tensor):
        return value.pin_memory()
    if isinstance(value, dict):
        return {key: pinned(each) for key, each in value.items()}
    return [pinned(each) for each in value]


def images_per_step(batch: dict) -> int:
    """The number of images of all domains in a batch."""
    domains: Sequence[dict] = [batch['source'], *batch['targets']]
    return sum(len(domain['img']) for domain in domains)
