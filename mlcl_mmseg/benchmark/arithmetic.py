"""The arithmetic of the published model: every head by itself, every tap of every convolution."""

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..methods.adversarial import AdversarialWarmup
from ..methods.base import DomainSegmentor
from ..methods.mcl import MCLSegmentor


@torch.no_grad()
def operations(module: nn.Module, channels: int, size: tuple[int, int]) -> tuple[int, list]:
    """Count a module's arithmetic on one input; nothing is computed.

    Args:
        module (nn.Module): A backbone or a head, on any device.
        channels (int): Channels of the input.
        size (tuple[int, int]): (H, W) of the input.

    Returns:
        tuple[int, list]: Floating-point operations, two for a multiplication and an addition, and
        what the module returns, without values.
    """
    module = copy.deepcopy(module).to('meta').eval()
    image = torch.empty(1, channels, *size, device='meta')
    inputs = image if channels == 3 else [image]
    with FlopCounterMode(display=False) as counter:
        outputs = module(inputs)
    return counter.get_total_flops(), outputs


def operations_of(segmentor: DomainSegmentor, size: tuple[int, int]) -> dict[str, int]:
    """Floating-point operations per image of a segmentor's parts at an input of (H, W).

    Returns:
        dict[str, int]: ``backbone`` (its neck included), ``head``, and of MCL ``ensemble``.
    """
    backbone = nn.Sequential(segmentor.backbone)
    if segmentor.with_neck:
        backbone.append(segmentor.neck)
    found = {}
    found['backbone'], (*_, features) = operations(backbone, 3, size)
    grid = tuple(features.shape[2:])
    heads = dict(head=segmentor.decode_head)
    if isinstance(segmentor, MCLSegmentor):
        heads['ensemble'] = segmentor.ensemble_head
    for name, head in heads.items():
        found[name], _ = operations(head, head.in_channels, grid)
    return found


def operations_of_step(segmentor: DomainSegmentor, size: tuple[int, int]) -> int:
    """Floating-point operations of a training step with one image a domain (method.md §3, §4).

    A backward pass costs two forward passes. Losses, style transfer and discriminators, which are
    little, are left out.
    """
    found = operations_of(segmentor, size)
    n = getattr(segmentor, 'num_targets', 0)
    if isinstance(segmentor, MCLSegmentor):
        passes, heads, ensembles = n + 1 + n * n, n + 1 + n * (n + 1), n + 1
    elif isinstance(segmentor, AdversarialWarmup):
        passes, heads, ensembles = n + 1, 2 * n, 0
    else:
        passes, heads, ensembles = 1, 1, 0
    forward = passes * found['backbone'] + heads * found['head']
    return 3 * (forward + ensembles * found.get('ensemble', 0))
