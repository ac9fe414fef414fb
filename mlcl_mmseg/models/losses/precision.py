"""Losses are computed in full precision, also under autocast."""

import torch
from torch import Tensor


def full_precision(tensor: Tensor) -> Tensor:
    """Half precision to float32; float32 and float64 as they are."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
