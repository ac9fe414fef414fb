from .broadcast_buffers_hook import BroadcastBuffersHook
from .discriminator_hook import DiscriminatorHook
from .pseudo_label_hook import PseudoLabelHook

__all__ = ['BroadcastBuffersHook', 'DiscriminatorHook', 'PseudoLabelHook']
