from .hooks import BroadcastBuffersHook, DiscriminatorHook, PseudoLabelHook
from .model_wrapper import MultiTargetDistributedDataParallel
from .optim_wrapper_constructor import MultiTargetOptimWrapperConstructor

__all__ = [
    'BroadcastBuffersHook',
    'DiscriminatorHook',
    'MultiTargetDistributedDataParallel',
    'MultiTargetOptimWrapperConstructor',
    'PseudoLabelHook',
]
