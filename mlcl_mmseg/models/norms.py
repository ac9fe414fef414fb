"""Batch norm with separate statistics of each pass of a batch, and over several processes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed.nn.functional as distributed
from mmengine.dist import get_world_size
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class PassBatchNorm(nn.BatchNorm2d):
    """Batch norm that treats a batch as several passes, one after the other.

    Each pass is normalised by its own statistics and updates the running statistics, in the order
    of the passes, as if each were a batch of its own.

    Attributes:
        passes (int): The number of passes. All have the same size.
        elementary (bool): Whether all passes are normalised at once by elementary operations. A
            compiler makes few kernels of them; one by one, they would be many.
    """

    passes = 1
    elementary = False

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise inputs (passes · B, C, H, W)."""
        if self.passes == 1 or not self.training:
            return super().forward(inputs)
        mean, variance, count = self.running_mean, self.running_var, self.num_batches_tracked
        if self.momentum is None or mean is None or variance is None or count is None:
            return torch.cat(
                [super(PassBatchNorm, self).forward(each) for each in inputs.chunk(self.passes)]
            )
        count.add_(self.passes)
        normalise = normalise_passes if self.elementary else BatchNormOfPasses.apply
        return normalise(
            inputs,
            self.weight,
            self.bias,
            mean,
            variance,
            self.passes,
            self.momentum,
            self.eps,
        )


class BatchNormOfPasses(torch.autograd.Function):
    """Batch norm of several passes, whose results are written into one tensor."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor,
        running_var: Tensor,
        passes: int,
        momentum: float,
        eps: float,
    ) -> Tensor:
        """Normalise inputs (passes · B, C, H, W), and update the running statistics (C,)."""
        result = torch.empty_like(inputs)
        means, scales = (running_mean.new_empty(passes, len(running_mean)) for _ in range(2))
        for each, *places in zip(inputs.chunk(passes), result.chunk(passes), means, scales):
            torch.native_batch_norm(
                each,
                weight,
                bias,
                running_mean,
                running_var,
                True,
                momentum,
                eps,
                out=tuple(places),
            )
        ctx.save_for_backward(inputs, weight, means, scales)
        ctx.eps = eps
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Compute the gradients of inputs, weight and bias."""
        inputs, weight, means, scales = ctx.saved_tensors
        found = [
            torch.ops.aten.native_batch_norm_backward(
                gradient_of_pass, each, weight, None, None, mean, scale, True, ctx.eps, [True] * 3
            )
            for gradient_of_pass, each, mean, scale in zip(
                gradient.chunk(len(means)), inputs.chunk(len(means)), means, scales
            )
        ]
        of_inputs, of_weight, of_bias = zip(*found)
        if weight is None:
            return torch.cat(of_inputs), *[None] * 7
        return (
            torch.cat(of_inputs),
            *(torch.stack(each).sum(0) for each in (of_weight, of_bias)),
            *[None] * 5,
        )


def normalise_passes(
    inputs: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    passes: int,
    momentum: float,
    eps: float,
) -> Tensor:
    """Compute :class:`BatchNormOfPasses` for all passes at once, by elementary operations.

    Running statistics are the sum of what each of the successive updates leaves of its pass.
    """
    grouped = inputs.unflatten(0, (passes, -1))
    grouped = grouped.float() if inputs.dtype != torch.float64 else grouped
    variance, mean = torch.var_mean(grouped, dim=(1, 3, 4), correction=0, keepdim=True)
    with torch.no_grad():
        count = grouped[0].numel() / len(running_mean)
        left = [(1 - momentum) ** (passes - 1 - number) for number in range(passes)]
        shares = momentum * mean.new_tensor(left)
        for running, found in (
            (running_mean, mean),
            (running_var, variance * (count / (count - 1))),
        ):
            update = (shares[:, None] * found.view(passes, -1)).sum(0)
            running.mul_((1 - momentum) ** passes).add_(update)
    result = (grouped - mean) * torch.rsqrt(variance + eps)
    if weight is not None and bias is not None:
        result = result * weight[:, None, None] + bias[:, None, None]
    return result.to(inputs.dtype).flatten(0, 1)


def separate_passes(module: nn.Module) -> None:
    """Let every batch norm of a module treat batches as passes, see :func:`passes_in_batch`.

    Args:
        module (nn.Module): The module; batch norms of subclasses do not change.
    """
    for each in module.modules():
        if type(each) is nn.BatchNorm2d:
            # parameters, buffers, hooks and names stay as they are
            each.__class__ = PassBatchNorm


def batch_norms(modules: Sequence[nn.Module]) -> list[_BatchNorm]:
    """Return the batch norms of modules that use statistics of their batches."""
    every = (each for module in modules for each in module.modules())
    return [each for each in every if isinstance(each, _BatchNorm) and each.training]


def can_separate_passes(norms: Sequence[_BatchNorm]) -> bool:
    """Whether each of some batch norms can separate its statistics by passes."""
    return all(isinstance(norm, PassBatchNorm) for norm in norms)


@contextmanager
def passes_in_batch(norms: Sequence[Any], passes: int) -> Iterator[None]:
    """Within this context, batches are several passes, each with its own batch statistics.

    Args:
        norms (Sequence[PassBatchNorm]): The norms that process the batches, see
            :func:`batch_norms` and :func:`can_separate_passes`.
        passes (int): The number of passes.
    """
    for norm in norms:
        norm.passes = passes
    try:
        yield
    finally:
        for norm in norms:
            norm.passes = 1


@MODELS.register_module('GlobalBN')
class GlobalBatchNorm(PassBatchNorm):
    """Batch norm with the statistics of the batch of all processes.

    Unlike PyTorch's SyncBatchNorm it also runs on CPUs. It is selected by
    ``norm_cfg=dict(type='GlobalBN')``, has the parameters and buffers of batch norm, and equals
    batch norm in a single process.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise inputs (passes · B, C, H, W), of the same shape in every process."""
        if not self.training or get_world_size() == 1:
            return super().forward(inputs)
        if self.passes == 1:
            return self.normalise(inputs)
        return torch.cat([self.normalise(each) for each in inputs.chunk(self.passes)])

    def normalise(self, inputs: Tensor) -> Tensor:
        """Normalise one pass (B, C, H, W)."""
        world_size = get_world_size()
        dtype, inputs = inputs.dtype, inputs.float()
        # two passes: the difference of two large means of squares would lose small variances
        mean = distributed.all_reduce(inputs.mean((0, 2, 3))) / world_size
        centred = inputs - mean[:, None, None]
        variance = distributed.all_reduce(centred.square().mean((0, 2, 3))) / world_size
        with torch.no_grad():
            count = inputs.numel() // inputs.shape[1] * world_size
            self.keep_statistics(mean, variance * (count / (count - 1)))
        scale = torch.rsqrt(variance + self.eps)
        if not self.affine:
            return (centred * scale[:, None, None]).to(dtype)
        scale = self.weight * scale
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(dtype)

    def keep_statistics(self, mean: Tensor, variance: Tensor) -> None:
        """Update the running statistics, if there are any, by mean and variance (C,) of a batch."""
        if (
            self.num_batches_tracked is None
            or self.running_mean is None
            or self.running_var is None
        ):
            return
        self.num_batches_tracked.add_(1)
        # without a momentum, PyTorch averages over all batches
        momentum = self.momentum
        if momentum is None:
            momentum = 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)
