from .backbones import DeepLabV2ResNet, DeepLabV2VGG, MixTransformer
from .data_preprocessor import MultiDomainDataPreprocessor
from .decode_heads import DeepLabV2Head
from .discriminators import DiscriminatorBank, DomainDiscriminator
from .necks import ConcatenationNeck
from .norms import GlobalBatchNorm
from .segmentors import AdversarialWarmup, MCLSegmentor, MultiTargetSegmentor, SourceOnly
from .style import ReinhardTransfer

__all__ = [
    'AdversarialWarmup',
    'ConcatenationNeck',
    'DeepLabV2Head',
    'DeepLabV2ResNet',
    'DeepLabV2VGG',
    'DiscriminatorBank',
    'DomainDiscriminator',
    'GlobalBatchNorm',
    'MCLSegmentor',
    'MixTransformer',
    'MultiDomainDataPreprocessor',
    'MultiTargetSegmentor',
    'ReinhardTransfer',
    'SourceOnly',
]
