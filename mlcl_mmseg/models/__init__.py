from .backbones import DeepLabV2ResNet
from .data_preprocessor import MultiDomainDataPreprocessor
from .decode_heads import DeepLabV2Head
from .discriminators import DiscriminatorBank, DomainDiscriminator
from .segmentors import AdversarialWarmup, MCLSegmentor, MultiTargetSegmentor, SourceOnly
from .style import ReinhardTransfer

__all__ = [
    'AdversarialWarmup',
    'DeepLabV2Head',
    'DeepLabV2ResNet',
    'DiscriminatorBank',
    'DomainDiscriminator',
    'MCLSegmentor',
    'MultiDomainDataPreprocessor',
    'MultiTargetSegmentor',
    'ReinhardTransfer',
    'SourceOnly',
]
