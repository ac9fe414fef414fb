"""Whether a device computes the same training step as the CPU.

The golden tests show that this project computes on a CPU what the released program computes. This
module compares a step on a device with the same step on the CPU: its losses, what it changes in
each part of the network, its running statistics, and the operations that the method offers for
measuring, such as the selection of pseudo-labels.

Three changes of the step make rounding errors comparable. The optimiser is SGD with a learning rate
of 1 and nothing else, so that the change of a weight is its gradient. Nothing is random, as
generators of devices differ. Kinked activations are replaced by a smooth one: in a deep network
with random weights, rounding moves some values over the kink, which changes the gradient by more
than rounding (6 % in float32 and 140 % in bfloat16, for a ResNet-101).
"""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from ..engine.precision import wrapper_configs
from .clock import synchronise
from .inputs import random_batch, sizes_of
from .training import Training, build_segmentor

# largest (H, W) of the images, and images of each domain
CROP, BATCH_SIZE = (64, 128), 2
# the first steps with loss scaling may be skipped; so many are tried
MOST_TRIES = 20
# difference between float results of operations that counts, relative to the largest value
DIFFERENT = 1e-3


class Tolerance(NamedTuple):
    """The largest relative errors of a precision that are accepted.

    Attributes:
        losses (float): Of each loss and figure, and of the running statistics.
        gradients (float): Of the gradient of each part of the network, as a vector.
    """

    losses: float
    gradients: float


# Three to ten times what rounding changes in this step with a ResNet-101. Of the gradient of the
# first layers, that is 1e-5 for another order of sums, up to 8e-3 for colours of the style transfer
# that are rounded to the next of 256 levels (1e-4 of them), 7e-3 for factors of 11 bits and 0.1 for
# bfloat16; of losses, 4e-5, 2e-4 and 1.3e-3 (6e-3 with a teacher, whose labels are rounded, too). A
# part that is missing, twice there or has the wrong sign has an error of 1 or more.
TOLERANCES = dict(
    fp32=Tolerance(1e-3, 0.03),
    tf32=Tolerance(5e-3, 0.1),
    bf16=Tolerance(2e-2, 0.4),
    fp16=Tolerance(5e-3, 0.1),
)
# share of the values of an operation that may differ: those at the edge of a threshold or a
# rounding step
FEW = 0.01


class StepResult(NamedTuple):
    """What a step computes, on the CPU.

    Attributes:
        figures (dict[str, float]): The scalars that the step logs.
        gradients (dict[str, Tensor]): By part of the network, such as 'backbone', the change of
            its trained weights as a vector.
        statistics (Tensor): The running statistics as a vector.
        operations (dict[str, Tensor]): Results of the measured operations as vectors, without
            autocast.
    """

    figures: dict[str, float]
    gradients: dict[str, Tensor]
    statistics: Tensor
    operations: dict[str, Tensor]


def comparable(config: Config) -> Config:
    """A copy of a config without compilation, whose optimisers change weights by the gradient."""
    config = copy.deepcopy(config)
    config.model.pop('compile_backbone', None)
    for each in wrapper_configs(config.optim_wrapper):
        each['optimizer'] = dict(type='SGD', lr=1.0)
        each.pop('clip_grad', None)
    return config


def make_comparable(model: nn.Module) -> None:
    """Let nothing in a network be random, and replace kinked activations by a smooth one."""
    for module in list(model.modules()):
        # the last one is how modules for stochastic depth are recognised
        if isinstance(module, _DropoutNd | nn.MultiheadAttention) or hasattr(module, 'drop_prob'):
            module.eval()
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU | nn.LeakyReLU):
                setattr(module, name, nn.Softplus())


def run_step(config: Config, device: str, precision: str) -> StepResult:
    """Take a step on a small batch.

    Args:
        config (Config): A config of :func:`comparable`.
        device (str): 'cpu' or 'cuda'.
        precision (str): The precision of the step.

    Returns:
        StepResult: What the step has computed.
    """
    training = Training(config, build_segmentor(config, device), precision)
    segmentor = training.segmentor
    make_comparable(segmentor)
    if getattr(segmentor, 'teacher', None) is not None:
        make_comparable(segmentor.teacher.network)
    _, (height, width) = sizes_of(config)
    batch = random_batch(config, (min(height, CROP[0]), min(width, CROP[1])), 0, BATCH_SIZE)
    start = {name: value.clone() for name, value in segmentor.state_dict().items()}
    for _ in range(MOST_TRIES if precision == 'fp16' else 1):
        segmentor.load_state_dict(start)
        figures = training.step(batch)
        gradients = changes(segmentor, start)
        # loss scaling skips steps, of each optimiser separately, until its factor is small enough
        if all(bool(change.any()) for change in gradients.values()):
            break
    statistics = [
        value.float().flatten()
        for name, value in segmentor.named_buffers()
        if name in start and value.is_floating_point()
    ]
    inputs = segmentor.data_preprocessor(batch, True)['inputs']
    operations = {
        name: as_vector(run()) for name, run in segmentor.measured_operations(inputs).items()
    }
    synchronise(device)
    return StepResult(
        {name: float(value) for name, value in figures.items()},
        gradients,
        torch.cat(statistics).cpu() if statistics else torch.zeros(0),
        operations,
    )


def as_vector(tensors: Tensor | Sequence[Tensor]) -> Tensor:
    """All values of a tensor or several tensors as a vector on the CPU."""
    several = [tensors] if isinstance(tensors, Tensor) else tensors
    return torch.cat([each.flatten().cpu() for each in several])


def changes(model: nn.Module, start: dict[str, Tensor]) -> dict[str, Tensor]:
    """The change of all trainable weights of each part of a network, as a vector on the CPU."""
    parts: dict[str, list[Tensor]] = {}
    for name, value in model.named_parameters():
        part = name.partition('.')[0]
        parts.setdefault(part, []).append((value.detach() - start[name]).flatten().cpu())
    return {part: torch.cat(each) for part, each in parts.items()}


def compare(reference: StepResult, found: StepResult, tolerance: Tolerance) -> dict[str, Any]:
    """Compare a step with the same step on the CPU.

    Args:
        reference (StepResult): The step on the CPU in float32.
        found (StepResult): The step to check.
        tolerance (Tolerance): What is accepted.

    Returns:
        dict[str, Any]: ``passed``; ``losses``, the largest error of a logged scalar;
        ``statistics``; ``gradients``, an error for each part; ``operations``, for each the share of
        values that differ.
    """
    losses = {
        name: figure_error(name, value, found.figures[name])
        for name, value in reference.figures.items()
    }
    gradients = {
        part: relative_error(change, found.gradients[part])
        for part, change in reference.gradients.items()
    }
    operations = {
        name: differing_share(value, found.operations[name])
        for name, value in reference.operations.items()
    }
    largest_loss = max(map(nan_is_largest, losses.values()))
    statistics = relative_error(reference.statistics, found.statistics)
    passed = (
        max(largest_loss, statistics) <= tolerance.losses
        and all(error <= tolerance.gradients for error in gradients.values())
        and all(share <= FEW for share in operations.values())
    )
    return dict(
        passed=passed,
        losses=largest_loss,
        statistics=statistics,
        gradients=gradients,
        operations=operations,
    )


def figure_error(name: str, reference: float, found: float) -> float:
    """The error of a logged scalar: relative for a loss, absolute for a share from 0 to 1."""
    return abs(found - reference) / (abs(reference) or 1.0 if 'loss' in name else 1.0)


def nan_is_largest(value: float) -> float:
    """The value, or infinity for NaN, which would be lost in a maximum."""
    return value if value == value else float('inf')


def relative_error(reference: Tensor, found: Tensor) -> float:
    """The norm of the difference of two vectors relative to the first; 0 for two zero vectors."""
    difference = float((found.double() - reference.double()).norm())
    if difference == 0:
        return 0.0
    return nan_is_largest(difference / max(float(reference.double().norm()), 1e-30))


def differing_share(reference: Tensor, found: Tensor) -> float:
    """The share of values that differ: integers at all, others by :data:`DIFFERENT`."""
    if not reference.is_floating_point():
        return float((reference != found).float().mean())
    limit = DIFFERENT * reference.abs().max()
    # of NaN, no comparison is true
    return float((~((reference - found).abs() <= limit)).float().mean())
