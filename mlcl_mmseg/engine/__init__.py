from .hooks import (
    BroadcastBuffersHook,
    DataCheckHook,
    DiscriminatorHook,
    DurableCheckpointHook,
    PseudoLabelHook,
    ResumeHook,
)
from .model_wrapper import MultiTargetDistributedDataParallel
from .optim_wrapper_constructor import MultiTargetOptimWrapperConstructor
from .stream_train_loop import StreamTrainLoop

__all__ = [
    'BroadcastBuffersHook',
    'DataCheckHook',
    'DiscriminatorHook',
    'DurableCheckpointHook',
    'MultiTargetDistributedDataParallel',
    'MultiTargetOptimWrapperConstructor',
    'PseudoLabelHook',
    'ResumeHook',
    'StreamTrainLoop',
]
