"""Batch norm over a batch that is shared out over processes, on any device."""

import torch
import torch.distributed.nn.functional as distributed
from mmengine.dist import get_world_size
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module('GlobalBN')
class GlobalBatchNorm(nn.BatchNorm2d):
    """Batch norm with the statistics of the whole batch; PyTorch's SyncBatchNorm needs GPUs.

    For ``norm_cfg=dict(type='GlobalBN')``. Parameters and buffers are those of batch norm; in a
    single process it is batch norm.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, C, H, W) on each process, of which all have as many samples."""
        world_size = get_world_size()
        if not self.training or world_size == 1:
            return super().forward(inputs)
        kind, inputs = inputs.dtype, inputs.float()
        # two passes: a difference of large squares would lose the small variances
        mean = distributed.all_reduce(inputs.mean((0, 2, 3))) / world_size
        centred = inputs - mean[:, None, None]
        variance = distributed.all_reduce(centred.square().mean((0, 2, 3))) / world_size
        with torch.no_grad():
            count = inputs.numel() // inputs.shape[1] * world_size
            self.keep_statistics(mean, variance * (count / (count - 1)))
        scale = torch.rsqrt(variance + self.eps)
        if not self.affine:
            return (centred * scale[:, None, None]).to(kind)
        scale = self.weight * scale
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(kind)

    def keep_statistics(self, mean: Tensor, variance: Tensor) -> None:
        """Let the running statistics follow those of a batch, (C,) each, if there are some."""
        if (
            self.num_batches_tracked is None
            or self.running_mean is None
            or self.running_var is None
        ):
            return
        self.num_batches_tracked.add_(1)
        # without a momentum, PyTorch takes the mean over all batches
        momentum = self.momentum
        if momentum is None:
            momentum = 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)
