"""Adversarial alignment of each target: MCL's warm-up (method.md §3)."""

from .discriminator import DiscriminatorBank, DomainDiscriminator
from .hook import DiscriminatorHook
from .segmentor import AdversarialWarmup

__all__ = ['AdversarialWarmup', 'DiscriminatorBank', 'DiscriminatorHook', 'DomainDiscriminator']
