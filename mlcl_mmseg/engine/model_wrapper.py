"""Distributed training of models that may have several optimisers."""

from typing import Any

import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import MODEL_WRAPPERS
from torch import nn

from ..models.train_step import train_step


# MMEngine's own registry: Runner looks wrappers up there and nowhere else
@MODEL_WRAPPERS.register_module()
class MultiTargetDistributedDataParallel(MMDistributedDataParallel):
    """DDP around the network's turn of the step, on GPUs and on CPUs.

    Discriminators are frozen when the model is wrapped, so their gradients are not reduced here but
    in their own turn, see :class:`DiscriminatorHook`.

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
        if isinstance(optim_wrapper, OptimWrapperDict):
            optim_wrapper = optim_wrapper['network']
        return train_step(self, data, optim_wrapper, self.module.turns)
