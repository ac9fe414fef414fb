"""Distributed training of models that may have several optimisers."""

from typing import Any

import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import MODEL_WRAPPERS
from torch import nn

from ..methods.base import network_wrapper
from ..models.train_step import train_step


# MMEngine's own registry: Runner looks wrappers up there and nowhere else
@MODEL_WRAPPERS.register_module()
class MultiTargetDistributedDataParallel(MMDistributedDataParallel):
    """DDP around the network's part of the step, on GPUs and on CPUs.

    Modules with an optimiser of their own are frozen when the model is wrapped, so that their
    gradients are not reduced here but by the hook that trains them.

    Args:
        module (nn.Module): The segmentor.
        device_ids (list[int], optional): The GPU of this process; dropped for a model on CPU.
        **kwargs: Those of :class:`mmengine.model.MMDistributedDataParallel`.
    """

    def __init__(
        self, module: nn.Module, device_ids: list[int] | None = None, **kwargs: Any
    ) -> None:
        on_cpu = next(module.parameters()).device.type == 'cpu'
        super().__init__(module, device_ids=None if on_cpu else device_ids, **kwargs)

    def train_step(
        self, data: dict, optim_wrapper: OptimWrapper | OptimWrapperDict
    ) -> dict[str, torch.Tensor]:
        """Forward, backward and update of the network."""
        return train_step(self, data, network_wrapper(optim_wrapper), self.module.turns)
