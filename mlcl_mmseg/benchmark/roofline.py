"""Estimate the time of a training step on a card from its counted operations.

On the device, an operation takes as long as moving its bytes or computing its products, whichever
is longer. The host needs the same time for every operation. A step takes as long as the slower of
the two.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch

from .operation_counter import Operation
from .step_parts import PARTS

PRODUCTS = {torch.float32: 'fp32', torch.bfloat16: 'bf16', torch.float16: 'fp16'}


class Card(NamedTuple):
    """What a card can do. The defaults are those of an H100 SXM in NVIDIA's data sheet.

    Attributes:
        tflops (dict[str, float]): 10¹² floating-point operations a second of dense products whose
            factors are 'fp32', 'tf32', 'bf16' and 'fp16'.
        bandwidth (float): Memory bandwidth in 10¹² bytes a second.
        link (float): Bandwidth between cards in 10⁹ bytes a second and direction.
    """

    tflops: dict[str, float] = dict(fp32=67, tf32=495, bf16=989, fp16=989)
    bandwidth: float = 3.35
    link: float = 450


class Assumptions(NamedTuple):
    """What no data sheet tells.

    Attributes:
        host_us (float): Microseconds of the host for an operation, including autograd's share.
        kernel_us (float): Microseconds of the device for the smallest operation.
        product_efficiency (float): Share of the card's peak that products reach.
        memory_efficiency (float): Share of the card's memory bandwidth that operations reach.
    """

    host_us: float = 8
    kernel_us: float = 2
    product_efficiency: float = 0.5
    memory_efficiency: float = 0.8


class Part(NamedTuple):
    """The operations of a part of a step, or of the whole step.

    Attributes:
        operations (int): Their number, without views.
        tflop (float): 10¹² floating-point operations of their products.
        gigabytes (float): 10⁹ bytes that they move.
        device_ms (float): Milliseconds of the device.
        host_ms (float): Milliseconds of the host.
    """

    operations: int
    tflop: float
    gigabytes: float
    device_ms: float
    host_ms: float


def estimate(
    operations: Iterable[Operation], precision: str, card: Card, assumptions: Assumptions
) -> dict[str, Part]:
    """Estimate the time of each part of a step.

    Args:
        operations (Iterable[Operation]): The operations of the step.
        precision (str): Precision of the step, one of
            :data:`~mlcl_mmseg.engine.precision.PRECISIONS`.
        card (Card): The card.
        assumptions (Assumptions): The assumptions.

    Returns:
        dict[str, Part]: Each of :data:`~.step_parts.PARTS` that occurred.
    """
    costs: dict[str, list[Part]] = {part: [] for part in PARTS}
    for each in operations:
        # a view needs no kernel
        if each.bytes:
            seconds = device_seconds(each, precision, card, assumptions)
            costs[each.part].append(
                Part(
                    1, each.flops / 1e12, each.bytes / 1e9, 1e3 * seconds, assumptions.host_us / 1e3
                )
            )
    return {name: total(parts) for name, parts in costs.items() if parts}


def total(parts: Iterable[Part]) -> Part:
    """Add up parts."""
    return Part(*map(sum, zip(*parts)))


def step_ms(whole: Part) -> float:
    """Milliseconds of a step, in which host and device work at the same time."""
    return max(whole.device_ms, whole.host_ms)


def device_seconds(
    operation: Operation, precision: str, card: Card, assumptions: Assumptions
) -> float:
    """Seconds of the device for an operation."""
    moving = operation.bytes / (card.bandwidth * 1e12 * assumptions.memory_efficiency)
    computing = 0.0
    if operation.dtype is not None:
        factors = PRODUCTS[operation.dtype]
        # see PrecisionOptimWrapper: with bf16, products of float32 are rounded, too
        if factors == 'fp32' and precision in ('tf32', 'bf16'):
            factors = 'tf32'
        peak = card.tflops[factors] * 1e12 * assumptions.product_efficiency
        computing = operation.flops / peak
    return max(moving, computing, assumptions.kernel_us / 1e6)


def exchange_ms(gradient_bytes: int, cards: int, card: Card) -> float:
    """Milliseconds in which several cards add up their gradients in a ring.

    DDP hides a part of it behind the backward pass. No part is hidden here.
    """
    return 1e3 * 2 * (cards - 1) / cards * gradient_bytes / (card.link * 1e9)
