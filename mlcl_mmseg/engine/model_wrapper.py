"""Distributed training of models that may have several optimisers."""

from typing import Any

import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import MODEL_WRAPPERS
from torch import nn

from ..methods.base import network_wrapper
from ..models.train_step import train_step


# registered in MMEngine's registry, the only one that Runner searches for wrappers
@MODEL_WRAPPERS.register_module()
class MultiTargetDistributedDataParallel(MMDistributedDataParallel):
    """DDP for the training step of the network, on GPUs and on CPUs.

    Modules with an optimiser of their own are frozen when the model is wrapped. Their gradients are
    therefore not reduced here, but by the hook that trains them.

    Args:
        module (nn.Module): The segmentor.
        device_ids (list[int], optional): The GPU of this process; ignored for a model on the CPU.
        **kwargs: Keyword arguments of :class:`mmengine.model.MMDistributedDataParallel`.
    """

    def __init__(
        self, module: nn.Module, device_ids: list[int] | None = None, **kwargs: Any
    ) -> None:
        on_cpu = next(module.parameters()).device.type == 'cpu'
        super().__init__(module, device_ids=None if on_cpu else device_ids, **kwargs)

    def train_step(
        self, data: dict, optim_wrapper: OptimWrapper | OptimWrapperDict
    ) -> dict[str, torch.Tensor]:
        """Train the network for one step, see :func:`mlcl_mmseg.models.train_step.train_step`."""
        return train_step(self, data, network_wrapper(optim_wrapper), self.module.turns)
