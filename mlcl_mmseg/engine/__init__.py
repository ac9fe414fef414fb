from .hooks import DiscriminatorHook, PseudoLabelHook
from .model_wrapper import MultiTargetDistributedDataParallel
from .optim_wrapper_constructor import MultiTargetOptimWrapperConstructor

__all__ = [
    'DiscriminatorHook',
    'MultiTargetDistributedDataParallel',
    'MultiTargetOptimWrapperConstructor',
    'PseudoLabelHook',
]
