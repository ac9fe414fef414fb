from .cross_entropy import (
    divide_by_count,
    pixel_cross_entropy,
    resize_logits,
    source_cross_entropy,
)
from .precision import full_precision

__all__ = [
    'divide_by_count',
    'full_precision',
    'pixel_cross_entropy',
    'resize_logits',
    'source_cross_entropy',
]
