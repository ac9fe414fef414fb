"""Precision of a network's computations."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmseg.models import EncoderDecoder
from mmseg.registry import OPTIM_WRAPPERS
from torch import nn

from ..errors import InputError
from ..methods.base import NETWORK, DomainSegmentor
from .bf16_speed import warn_of_slow_bf16

PRECISIONS = ('fp32', 'tf32', 'bf16', 'fp16')


def use_precision(config: dict, precision: str) -> None:
    """Set the precision of an optimiser wrapper's config, or of each of several wrappers.

    Args:
        config (dict): ``optim_wrapper`` of a config; modified in place.
        precision (str): 'fp32', 'tf32' (GPUs round the factors of products to 10 bits), 'bf16'
            (autocast) or 'fp16' (autocast with MMEngine's loss scaling).

    Raises:
        InputError: If the precision is unknown, or needs a GPU and there is none.
    """
    check_precision(precision, torch.cuda.is_available())
    for wrapper in wrapper_configs(config):
        if precision == 'fp16':
            wrapper.pop('precision', None)
            wrapper.update(type='AmpOptimWrapper', dtype='float16')
            wrapper.setdefault('loss_scale', 'dynamic')
        else:
            for key in ('dtype', 'loss_scale'):
                wrapper.pop(key, None)
            wrapper.update(type='PrecisionOptimWrapper', precision=precision)


def wrapper_configs(optim_wrapper: dict) -> list[dict]:
    """The configs of all optimiser wrappers: of a single one, or of several by their names."""
    if 'optimizer' in optim_wrapper:
        return [optim_wrapper]
    return [
        each for each in optim_wrapper.values() if isinstance(each, dict) and 'optimizer' in each
    ]


def precision_of(config: dict | None) -> str:
    """Return the precision of an optimiser wrapper's config.

    Args:
        config (dict, optional): ``optim_wrapper`` of a config, None if it has none. Of several
            wrappers, that of the network counts.

    Returns:
        str: One of :data:`PRECISIONS`; 'fp32' for wrappers that set none.
    """
    config = config or {}
    if NETWORK in config:
        return precision_of(config[NETWORK])
    if config.get('type') == 'AmpOptimWrapper':
        return 'bf16' if config.get('dtype') in ('bfloat16', torch.bfloat16) else 'fp16'
    return config.get('precision', 'fp32')


def choose_precision(chosen: str | None, config: dict, on_gpu: bool) -> str:
    """Return the precision in which a trained network predicts.

    Args:
        chosen (str, optional): The precision that the user asks for; by default, that in which the
            config trains.
        config (dict): The config.
        on_gpu (bool): Whether the network predicts on a GPU.

    Raises:
        InputError: If the precision is unknown, or needs a GPU and there is none. A config's 'tf32'
            means 'fp32' then.
    """
    precision = chosen or precision_of(config.get('optim_wrapper'))
    if chosen is None and precision == 'tf32' and not on_gpu:
        return 'fp32'
    check_precision(precision, on_gpu)
    return precision


def round_products(is_rounded: bool) -> None:
    """Set whether GPUs round the factors of float32 products to 10 bits, for this process."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = is_rounded


def autocast(precision: str, device: str) -> AbstractContextManager:
    """Autocast on a device ('cpu', 'cuda') for 'bf16' and 'fp16'; for others, change nothing."""
    dtypes = dict(bf16=torch.bfloat16, fp16=torch.float16)
    return torch.autocast(device, dtypes[precision]) if precision in dtypes else nullcontext()


def check_precision(precision: str, on_gpu: bool) -> None:
    """Refuse an unknown or unavailable precision, and warn of one that is slow on this processor.

    Args:
        precision (str): The precision to check.
        on_gpu (bool): Whether computations run on a GPU.

    Raises:
        InputError: If it is not one of :data:`PRECISIONS`, or needs a GPU and there is none.
    """
    if precision not in PRECISIONS:
        raise InputError(
            f'The precision is {precision!r}: set it to one of {", ".join(PRECISIONS)}.'
        )
    if precision in ('tf32', 'fp16') and not on_gpu:
        raise InputError(f'The precision {precision} needs a GPU: use fp32 or bf16.')
    if precision == 'bf16' and not on_gpu:
        warn_of_slow_bf16()


@contextmanager
def computing_in(precision: str, device: str) -> Iterator[None]:
    """Compute products in a precision on a device ('cpu', 'cuda').

    Except with 'fp32', GPUs also round the factors of float32 products to 10 bits.
    """
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    round_products(precision != 'fp32')
    try:
        with autocast(precision, device):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def predict_in(segmentor: EncoderDecoder, precision: str) -> None:
    """Let a segmentor compute validations and tests in a precision from now on.

    Raises:
        InputError: If the model is one of MMSegmentation's own, which compute in float32, and the
            precision is 'bf16' or 'fp16'.
    """
    if not isinstance(segmentor, DomainSegmentor) and precision in ('bf16', 'fp16'):
        raise InputError(
            f'{type(segmentor).__name__} does not predict in {precision}: use --precision fp32, or '
            'a model of this package.'
        )
    device = next(segmentor.parameters()).device.type
    segmentor.prediction_context = partial(computing_in, precision, device)


@OPTIM_WRAPPERS.register_module()
class PrecisionOptimWrapper(OptimWrapper):
    """An optimiser wrapper with a precision of forward passes, on GPUs and CPUs.

    Weights, gradients and losses stay float32. The loss is not scaled, since bfloat16 has the range
    of float32. Whether GPUs round float32 products is set for the whole process, so that it also
    holds in backward passes and validations.

    Args:
        precision (str): 'fp32', 'tf32' or 'bf16'.
        **kwargs: Keyword arguments of :class:`mmengine.optim.OptimWrapper`.

    Raises:
        InputError: If the precision is not one of these.
    """

    def __init__(self, precision: str = 'fp32', **kwargs: Any) -> None:
        if precision not in PRECISIONS[:3]:
            raise InputError(
                f'precision is {precision!r}, but PrecisionOptimWrapper supports only '
                f'{", ".join(PRECISIONS[:3])}: use --precision fp16, or AmpOptimWrapper, for fp16.'
            )
        super().__init__(**kwargs)
        self.precision = precision
        round_products(precision != 'fp32')

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enter MMEngine's context with the wrapper's precision."""
        device = self.param_groups[0]['params'][0].device.type
        with super().optim_context(model), autocast(self.precision, device):
            yield
