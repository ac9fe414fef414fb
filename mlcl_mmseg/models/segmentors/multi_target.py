"""What all stages share: a backbone, a bank of heads, inference with one of them."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import ModuleList
from mmseg.registry import MODELS
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ...errors import InputError
from ..decode_heads import DeepLabV2Head
from .domain_segmentor import DomainSegmentor

# what MCL takes over from a warm-up
WARMUP_PARTS = ('backbone.', 'neck.', 'domain_heads.')


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
        InputError: If there is no target, one is named twice, a name contains 'loss', or the head
            is none of ours.
    """

    def __init__(
        self, targets: list[str], backbone: dict, decode_head: dict, **kwargs: Any
    ) -> None:
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
        if not isinstance(self.domain_heads[0], DeepLabV2Head):
            raise InputError(
                f'model.decode_head.type is {decode_head["type"]}, but a bank of heads computes '
                'what they share at once: make it DeepLabV2Head or a subclass.'
            )

    def extract_passes(self, images: Sequence[Tensor]) -> list[Sequence[Tensor]]:
        """The maps of several batches, each with the statistics of its own (method.md §4).

        Where no layer takes the statistics of a batch, all are computed as one.

        Args:
            images (Sequence[Tensor]): (B, 3, H, W) each, of one size.

        Returns:
            list[Sequence[Tensor]]: Of each batch what :meth:`extract_feat` returns.
        """
        norms = (module for module in self.backbone.modules() if isinstance(module, _BatchNorm))
        if any(norm.training for norm in norms):
            return [self.extract_feat(each) for each in images]
        levels = self.extract_feat(torch.cat(list(images)))
        return list(zip(*(level.chunk(len(images)) for level in levels)))

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
