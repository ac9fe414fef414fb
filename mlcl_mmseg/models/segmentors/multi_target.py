"""What all stages share: a backbone, a bank of heads, inference with one of them."""

import torch
from mmengine.model import ModuleList
from mmseg.registry import MODELS
from torch import Tensor

from ...errors import InputError
from .domain_segmentor import DomainSegmentor

# what MCL takes over from a warm-up
WARMUP_PARTS = ('backbone.', 'domain_heads.')


class MultiTargetSegmentor(DomainSegmentor):
    """A backbone with one decode head per target domain.

    Training takes the batches of :class:`MultiDomainDataset`; inference is that of
    :class:`DomainSegmentor`.

    Args:
        targets (list[str]): Names of the target domains, in the order of the data set's targets.
        backbone (dict): Config of the backbone.
        decode_head (dict): Config of every classifier.
        **kwargs: Those of :class:`mmseg.models.EncoderDecoder`.

    Raises:
        InputError: If there is no target, one is named twice, or a name contains 'loss'.
    """

    def __init__(self, targets: list[str], backbone: dict, decode_head: dict, **kwargs) -> None:
        if not targets or len(set(targets)) < len(targets):
            raise InputError(f'model.targets is {targets}: name one or more domains, each once.')
        for name in targets:
            if 'loss' in name:
                raise InputError(
                    f"The domain {name!r} has 'loss' in its name, by which MMEngine tells the "
                    'figures that are trained: call it something else.'
                )
        self.targets = list(targets)
        super().__init__(backbone=backbone, decode_head=decode_head, **kwargs)

    @property
    def num_targets(self) -> int:
        """N."""
        return len(self.targets)

    def _init_decode_head(self, decode_head: dict) -> None:
        super()._init_decode_head(decode_head)
        self._init_domain_heads(decode_head)

    def _init_domain_heads(self, decode_head: dict) -> None:
        self.domain_heads = ModuleList([MODELS.build(decode_head) for _ in self.targets])

    @torch.no_grad()
    def soft_pseudo_label(self, inputs: Tensor, target: int) -> Tensor:
        """Class probabilities at feature resolution from a target's own head.

        Args:
            inputs (Tensor): (B, 3, H, W) images of that target.
            target (int): Index of the target.

        Returns:
            Tensor: (B, C, h, w) float32.
        """
        logits = self.domain_heads[target](self.extract_feat(inputs))
        return logits.float().softmax(dim=1)

    def _check_checkpoint(self, state_dict: dict[str, Tensor]) -> None:
        heads = {name.split('.')[1] for name in state_dict if name.startswith('domain_heads.')}
        if heads and len(heads) != self.num_targets:
            raise InputError(
                f'The checkpoint has {len(heads)} domain heads, but model.targets names '
                f'{self.num_targets} domains ({", ".join(self.targets)}): use the checkpoint of '
                'the same setting.'
            )
        super()._check_checkpoint(state_dict)
