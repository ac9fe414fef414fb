from .adversarial import GAN_LOSSES, gan_loss, self_information
from .cross_entropy import pixel_cross_entropy, resize_logits, source_cross_entropy
from .precision import full_precision
from .self_training import agreement_weight, distillation, masked_mean

__all__ = [
    'GAN_LOSSES',
    'agreement_weight',
    'distillation',
    'full_precision',
    'gan_loss',
    'masked_mean',
    'pixel_cross_entropy',
    'resize_logits',
    'self_information',
    'source_cross_entropy',
]
