from .broadcast_buffers_hook import BroadcastBuffersHook
from .data_check_hook import DataCheckHook
from .discriminator_hook import DiscriminatorHook
from .pseudo_label_hook import PseudoLabelHook
from .resume_hook import ResumeHook

__all__ = [
    'BroadcastBuffersHook',
    'DataCheckHook',
    'DiscriminatorHook',
    'PseudoLabelHook',
    'ResumeHook',
]
