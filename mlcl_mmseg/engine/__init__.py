from .hooks import (
    BroadcastBuffersHook,
    ContactSheetHook,
    DataCheckHook,
    DurableCheckpointHook,
    FiniteLossHook,
    PseudoLabelHook,
    ResumeHook,
    RunRecordHook,
    StepFiguresHook,
    TeacherHook,
)
from .model_wrapper import MultiTargetDistributedDataParallel
from .optim_wrapper_constructor import MultiTargetOptimWrapperConstructor
from .precision import PrecisionOptimWrapper
from .stream_train_loop import StreamTrainLoop

__all__ = [
    'BroadcastBuffersHook',
    'ContactSheetHook',
    'DataCheckHook',
    'DurableCheckpointHook',
    'FiniteLossHook',
    'MultiTargetDistributedDataParallel',
    'MultiTargetOptimWrapperConstructor',
    'PrecisionOptimWrapper',
    'PseudoLabelHook',
    'ResumeHook',
    'RunRecordHook',
    'StepFiguresHook',
    'StreamTrainLoop',
    'TeacherHook',
]
