from .adversarial_warmup import AdversarialWarmup
from .mcl import MCLSegmentor
from .multi_target import MultiTargetSegmentor
from .source_only import SourceOnly

__all__ = ['AdversarialWarmup', 'MCLSegmentor', 'MultiTargetSegmentor', 'SourceOnly']
