from .hooks import (
    BroadcastBuffersHook,
    DataCheckHook,
    DiscriminatorHook,
    PseudoLabelHook,
    ResumeHook,
)
from .model_wrapper import MultiTargetDistributedDataParallel
from .optim_wrapper_constructor import MultiTargetOptimWrapperConstructor

__all__ = [
    'BroadcastBuffersHook',
    'DataCheckHook',
    'DiscriminatorHook',
    'MultiTargetDistributedDataParallel',
    'MultiTargetOptimWrapperConstructor',
    'PseudoLabelHook',
    'ResumeHook',
]
