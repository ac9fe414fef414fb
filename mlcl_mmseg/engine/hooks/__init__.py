from .broadcast_buffers_hook import BroadcastBuffersHook
from .contact_sheet_hook import ContactSheetHook
from .data_check_hook import DataCheckHook
from .durable_checkpoint_hook import DurableCheckpointHook
from .finite_loss_hook import FiniteLossHook
from .pseudo_label_hook import PseudoLabelHook
from .resume_hook import ResumeHook
from .run_record_hook import RunRecordHook
from .step_figures_hook import StepFiguresHook
from .teacher_hook import TeacherHook

__all__ = [
    'BroadcastBuffersHook',
    'ContactSheetHook',
    'DataCheckHook',
    'DurableCheckpointHook',
    'FiniteLossHook',
    'PseudoLabelHook',
    'ResumeHook',
    'RunRecordHook',
    'StepFiguresHook',
    'TeacherHook',
]
