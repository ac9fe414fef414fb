"""In which precision a network is computed."""

from collections.abc import Iterator
from contextlib import contextmanager

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
    if precision not in PRECISIONS:
        raise InputError(
            f'The precision is {precision!r}, but it is one of {", ".join(PRECISIONS)}.'
        )
    if precision in ('tf32', 'fp16') and not torch.cuda.is_available():
        raise InputError(f'The precision {precision} needs a GPU: use fp32 or bf16.')
    if 'optimizer' not in config:
        for value in config.values():
            if isinstance(value, dict) and 'optimizer' in value:
                use_precision(value, precision)
    elif precision == 'fp16':
        config.update(type='AmpOptimWrapper', dtype='float16', loss_scale='dynamic')
    else:
        config.update(type='PrecisionOptimWrapper', precision=precision)


@contextmanager
def computing_in(precision: str, device: str) -> Iterator[None]:
    """Compute products in a precision on a device ('cpu', 'cuda').

    Float32 products of GPUs are rounded to 10 bits in all precisions but 'fp32'.
    """
    rounded = precision != 'fp32'
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = rounded
    kind = torch.float16 if precision == 'fp16' else torch.bfloat16
    with torch.autocast(device, kind, enabled=precision in ('bf16', 'fp16')):
        yield


@OPTIM_WRAPPERS.register_module()
class PrecisionOptimWrapper(OptimWrapper):
    """An optimiser wrapper whose forward passes are computed in a precision, on GPUs and CPUs.

    Weights, gradients and losses stay float32. bfloat16 has the range of float32, so its loss is
    not scaled.

    Args:
        precision (str): 'fp32', 'tf32' or 'bf16'.
        **kwargs: Those of :class:`mmengine.optim.OptimWrapper`.

    Raises:
        InputError: If there is no such precision.
    """

    def __init__(self, precision: str = 'fp32', **kwargs) -> None:
        if precision not in PRECISIONS[:3]:
            raise InputError(
                f'precision is {precision!r}, but PrecisionOptimWrapper has '
                f'{", ".join(PRECISIONS[:3])}: for fp16 use AmpOptimWrapper.'
            )
        super().__init__(**kwargs)
        self.precision = precision

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """MMEngine's context, in the wrapper's precision."""
        device = self.param_groups[0]['params'][0].device.type
        with super().optim_context(model), computing_in(self.precision, device):
            yield
