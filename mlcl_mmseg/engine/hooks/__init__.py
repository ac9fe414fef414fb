from .discriminator_hook import DiscriminatorHook
from .pseudo_label_hook import PseudoLabelHook

__all__ = ['DiscriminatorHook', 'PseudoLabelHook']
