"""In which precision a network is computed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmseg.registry import OPTIM_WRAPPERS
from torch import nn

from ..errors import InputError

PRECISIONS = ('fp32', 'tf32', 'bf16', 'fp16')


def use_precision(config: dict, precision: str) -> None:
    """Let the optimiser wrapper of a config, or each of several, train in a precision.

    Args:
        config (dict): ``optim_wrapper`` of a config; it is changed.
        precision (str): 'fp32', 'tf32' (products of GPUs rounded to 10 bits), 'bf16' (autocast) or
            'fp16' (autocast with MMEngine's scaled loss).

    Raises:
        InputError: If there is no such precision, or it needs a GPU and there is none.
    """
    check_precision(precision, torch.cuda.is_available())
    if 'optimizer' not in config:
        for value in config.values():
            if isinstance(value, dict) and 'optimizer' in value:
                use_precision(value, precision)
    elif precision == 'fp16':
        config.update(type='AmpOptimWrapper', dtype='float16', loss_scale='dynamic')
    else:
        config.update(type='PrecisionOptimWrapper', precision=precision)


def round_products(is_rounded: bool) -> None:
    """Let GPUs round the factors of float32 products to 10 bits, or not, from now on."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = is_rounded


def autocast(precision: str, device: str) -> torch.autocast:
    """Autocast on a device ('cpu', 'cuda') for 'bf16' and 'fp16'; it does nothing else."""
    kind = torch.float16 if precision == 'fp16' else torch.bfloat16
    return torch.autocast(device, kind, enabled=precision in ('bf16', 'fp16'))


def check_precision(precision: str, on_gpu: bool) -> None:
    """Refuse a precision that there is not.

    Raises:
        InputError: If it is none of :data:`PRECISIONS`, or needs a GPU and there is none.
    """
    if precision not in PRECISIONS:
        raise InputError(
            f'The precision is {precision!r}, but it is one of {", ".join(PRECISIONS)}.'
        )
    if precision in ('tf32', 'fp16') and not on_gpu:
        raise InputError(f'The precision {precision} needs a GPU: use fp32 or bf16.')


@contextmanager
def computing_in(precision: str, device: str) -> Iterator[None]:
    """Compute products in a precision on a device ('cpu', 'cuda').

    Float32 products of GPUs are rounded in all precisions but 'fp32'.
    """
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    round_products(precision != 'fp32')
    try:
        with autocast(precision, device):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@OPTIM_WRAPPERS.register_module()
class PrecisionOptimWrapper(OptimWrapper):
    """An optimiser wrapper whose forward passes are computed in a precision, on GPUs and CPUs.

    Weights, gradients and losses stay float32. bfloat16 has the range of float32, so its loss is
    not scaled. Whether GPUs round float32 products is set for the process, as backward passes and
    validations follow.

    Args:
        precision (str): 'fp32', 'tf32' or 'bf16'.
        **kwargs: Those of :class:`mmengine.optim.OptimWrapper`.

    Raises:
        InputError: If there is no such precision.
    """

    def __init__(self, precision: str = 'fp32', **kwargs: Any) -> None:
        if precision not in PRECISIONS[:3]:
            raise InputError(
                f'precision is {precision!r}, but PrecisionOptimWrapper has '
                f'{", ".join(PRECISIONS[:3])}: for fp16 use AmpOptimWrapper.'
            )
        super().__init__(**kwargs)
        self.precision = precision
        round_products(precision != 'fp32')

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """MMEngine's context, in the wrapper's precision."""
        device = self.param_groups[0]['params'][0].device.type
        with super().optim_context(model), autocast(self.precision, device):
            yield
