"""Batch norm over a batch that is distributed over processes, on any device."""

import torch
import torch.distributed.nn.functional as distributed
from mmengine.dist import get_world_size
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module('GlobalBN')
class GlobalBatchNorm(nn.BatchNorm2d):
    """Batch norm with the statistics of the batch of all processes.

    Unlike PyTorch's SyncBatchNorm it also runs on CPUs. It is selected by
    ``norm_cfg=dict(type='GlobalBN')``, has the parameters and buffers of batch norm, and equals
    batch norm in a single process.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise inputs (B, C, H, W), of the same shape in every process."""
        world_size = get_world_size()
        if not self.training or world_size == 1:
            return super().forward(inputs)
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
