"""Optimisers with the learning rates of the authors' code (method.md §3, §4, §6-Q9)."""

import inspect
from collections.abc import Iterable

import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.utils import digit_version
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn

from ..errors import InputError
from ..methods.base import NETWORK, DomainSegmentor

STATED, NESTED = 'stated', 'nested'


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MultiTargetOptimWrapperConstructor:
    """Build one parameter group per learning rate, and one optimiser per separate module.

    By default, every parameter is trained at the stated learning rate. The authors' code of MCL
    lists a backbone parameter once per module that encloses it, and updates it that many times per
    step: 3 times in the stages of a ResNet, 4 times in their downsample branches, once in the stem;
    2 to 6 times in MiT; once in VGG (method.md §6-Q9). ``backbone_rates='nested'`` multiplies the
    learning rate by that number. This has the same steady state, and the published results were
    trained with these rates. Only backbones of the authors' code define these numbers, by a method
    ``released_updates(name)``.

    Args:
        optim_wrapper_cfg (dict): Config of an optimiser wrapper. For a segmentor with
            ``separate_optimisers``, ``dict(network=..., <module>=...)`` with a config for each.
        paramwise_cfg (dict, optional): ``backbone_rates`` ('stated' by default) and ``lr_mult``,
            ``{prefix of parameter names: multiplier}``.

    Raises:
        InputError: If ``backbone_rates`` is neither 'stated' nor 'nested', an optimiser wrapper of
            the segmentor is missing, a prefix matches no parameter, or the authors' code does not
            have this backbone.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        paramwise_cfg = dict(paramwise_cfg or {})
        self.backbone_rates = paramwise_cfg.pop('backbone_rates', STATED)
        self.lr_mult = paramwise_cfg.pop('lr_mult', {})
        if paramwise_cfg or self.backbone_rates not in (NESTED, STATED):
            raise InputError(
                f'paramwise_cfg has backbone_rates={self.backbone_rates!r} and {paramwise_cfg}: '
                f"give only backbone_rates ('{STATED}' or '{NESTED}') and lr_mult."
            )
        self.optim_wrapper_cfg = optim_wrapper_cfg

    def __call__(
        self, model: DomainSegmentor | MMDistributedDataParallel
    ) -> OptimWrapper | OptimWrapperDict:
        """Build the optimiser wrapper or wrappers of a segmentor.

        Args:
            model (DomainSegmentor | MMDistributedDataParallel): The segmentor, with or without
                its DDP wrapper.

        Returns:
            OptimWrapper | OptimWrapperDict: One wrapper, or several wrappers by name.
        """
        segmentor: DomainSegmentor = model.module if hasattr(model, 'module') else model
        config, separate = self.optim_wrapper_cfg, segmentor.separate_optimisers
        if not separate:
            return self.build_network(segmentor, config)
        if {NETWORK, *separate} - {*config}:
            raise InputError(
                f'{type(segmentor).__name__} trains with {len(separate) + 1} optimisers, but '
                f'optim_wrapper has {", ".join(config)}: set it to a dict of '
                f'{", ".join((NETWORK, *separate))}, each the config of an optimiser wrapper.'
            )
        return OptimWrapperDict(
            **{NETWORK: self.build_network(segmentor, config[NETWORK])},
            **{
                name: build_wrapper(config[name], segmentor.get_submodule(name).parameters())
                for name in separate
            },
        )

    def build_network(self, model: DomainSegmentor, config: dict) -> OptimWrapper:
        """Build the wrapper of all trainable parameters; separate modules are frozen."""
        groups: dict[float, list[nn.Parameter]] = {}
        names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        for prefix in self.lr_mult:
            if not any(name.startswith(prefix) for name in names):
                raise InputError(
                    f'paramwise_cfg.lr_mult has the prefix {prefix!r}, which matches no trainable '
                    'parameter: correct or remove it.'
                )
        for name in names:
            multiplier = self.multiplier(name, model.backbone)
            groups.setdefault(multiplier, []).append(model.get_parameter(name))
        base = config['optimizer']['lr']
        # the stated rate comes first, since MMEngine logs the rate of the first group
        return build_wrapper(
            config, [dict(params=groups[mult], lr=base * mult) for mult in sorted(groups)]
        )

    def multiplier(self, name: str, backbone: nn.Module) -> float:
        """Return the learning-rate multiplier of a parameter of a model with this backbone."""
        for prefix, mult in self.lr_mult.items():
            if name.startswith(prefix):
                return mult
        if self.backbone_rates == STATED or not name.startswith('backbone.'):
            return 1
        updates = getattr(backbone, 'released_updates', None)
        if updates is None:
            raise InputError(
                f"paramwise_cfg.backbone_rates is '{NESTED}', but the authors' code has no "
                f"{type(backbone).__name__}: set it to '{STATED}'."
            )
        return updates(name.removeprefix('backbone.'))


def build_wrapper(config: dict, parameters: Iterable[nn.Parameter] | list[dict]) -> OptimWrapper:
    """Build an optimiser wrapper from its config and parameters or parameter groups.

    The fused implementation of an optimiser, which passes through memory only once, is used if it
    is available for the parameters' device. ``optimizer.fused=False`` in the config selects
    PyTorch's default.
    """
    config = dict(config)
    options = dict(config.pop('optimizer'))
    groups: list[nn.Parameter | dict] = list(parameters)
    first = groups[0]['params'][0] if isinstance(groups[0], dict) else groups[0]
    if has_fused_form(OPTIMIZERS.get(options['type']), first.device.type):
        options.setdefault('fused', True)
    optimizer = OPTIMIZERS.build(options, default_args=dict(params=groups))
    config.setdefault('type', 'OptimWrapper')
    return OPTIM_WRAPPERS.build(config, default_args=dict(optimizer=optimizer))


def has_fused_form(optimizer: type | None, device: str) -> bool:
    """Whether this PyTorch has a fused implementation of an optimiser on 'cuda' or 'cpu'."""
    if optimizer is None or 'fused' not in inspect.signature(optimizer).parameters:
        return False
    # fused optimisers on CPUs exist since PyTorch 2.4
    return device == 'cuda' or (
        device == 'cpu' and digit_version(torch.__version__) >= digit_version('2.4')
    )
