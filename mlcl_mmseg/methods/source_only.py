"""Training on the source alone: the lower bound for domain adaptation."""

from mmseg.registry import MODELS
from torch import Tensor

from ..models.decode_heads import head_logits
from ..models.losses import source_cross_entropy
from .base import DomainSegmentor


@MODELS.register_module()
class SourceOnly(DomainSegmentor):
    """An encoder-decoder that is trained on the source images of a multi-domain batch."""

    stage_name = 'source_only'

    def loss(self, inputs: dict, data_samples: None = None) -> dict[str, Tensor]:
        """Compute the cross-entropy on the source images."""
        source = inputs['source']
        (logits,) = head_logits([self.decode_head], self.extract_feat(source['img']))
        loss = source_cross_entropy(logits, source['label'], self.global_batch, self.align_corners)
        return {'source_only/loss_source': loss}
