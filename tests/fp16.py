"""MMEngine's mixed precision, which it offers on GPUs alone, on a CPU."""

from functools import partial

import pytest
import torch
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmengine.runner import amp


def allow_on_cpu(patch: pytest.MonkeyPatch) -> None:
    """Let AmpOptimWrapper compute in float16 and scale losses on the CPU."""
    if not hasattr(torch.amp, 'GradScaler'):
        pytest.skip('this PyTorch scales losses on GPUs alone')
    patch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
    patch.setattr(amp_optimizer_wrapper, 'GradScaler', partial(torch.amp.GradScaler, device='cpu'))
    patch.setattr(amp, 'autocast', partial(torch.autocast, 'cpu'))
