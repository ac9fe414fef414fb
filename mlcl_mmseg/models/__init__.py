from .backbones import DeepLabV2ResNet, DeepLabV2VGG, MixTransformer
from .data_preprocessor import MultiDomainDataPreprocessor
from .decode_heads import DeepLabV2Head
from .necks import ConcatenationNeck
from .norms import GlobalBatchNorm
from .style import ReinhardTransfer

__all__ = [
    'ConcatenationNeck',
    'DeepLabV2Head',
    'DeepLabV2ResNet',
    'DeepLabV2VGG',
    'GlobalBatchNorm',
    'MixTransformer',
    'MultiDomainDataPreprocessor',
    'ReinhardTransfer',
]
