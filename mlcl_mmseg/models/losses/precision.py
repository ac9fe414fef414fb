"""Full precision for losses, which also holds under autocast."""

import torch
from torch import Tensor


def full_precision(tensor: Tensor) -> Tensor:
    """Convert float16 and bfloat16 to float32; keep float32 and float64."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
