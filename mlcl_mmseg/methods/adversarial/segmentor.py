"""Stage 1: source supervision with adversarial alignment of each target (method.md §3)."""

from itertools import groupby
from typing import Any

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor

from ...errors import InputError
from ...models.decode_heads import head_logits
from ...models.losses import source_cross_entropy
from ..base import MultiTargetSegmentor
from .discriminator import DiscriminatorBank
from .losses import GAN_LOSSES, SOURCE, gan_loss, self_information

OWN_HEAD, LAST_HEAD = 'own_head', 'last_head'


@MODELS.register_module()
class AdversarialWarmup(MultiTargetSegmentor):
    """A backbone with one head and one discriminator per target.

    The discriminators are frozen here. :class:`DiscriminatorHook` trains them after the network in
    each step.

    Args:
        targets (list[str]): Names of the target domains.
        backbone (dict): Config of the backbone.
        decode_head (dict): Config of every head.
        discriminator (dict): Config of every discriminator.
        gan (str): 'vanilla' (binary cross-entropy) or 'LS' (squared error).
        adversarial_weight (float, optional): Weight of the adversarial loss. By default, 0.001 for
            'vanilla' and 0.01 for 'LS'.
        evaluate_with (str): With 'own_head', each domain is predicted by its own head, and an
            image of an unknown domain by the last head. With 'last_head', all images are predicted
            by the last head, as in the authors' validation (method.md §6-Q4).
        **kwargs: Keyword arguments of :class:`MultiTargetSegmentor`.

    Raises:
        InputError: If ``gan`` or ``evaluate_with`` is unknown.
    """

    stage_name = 'warmup'
    deployed_parts = MultiTargetSegmentor.labelling_parts
    training_parts = ('discriminators.',)
    resume_parts = ('discriminators.',)
    separate_optimisers = ('discriminators',)

    def __init__(
        self,
        targets: list[str],
        backbone: dict,
        decode_head: dict,
        discriminator: dict,
        gan: str = 'vanilla',
        adversarial_weight: float | None = None,
        evaluate_with: str = OWN_HEAD,
        **kwargs: Any,
    ) -> None:
        if gan not in GAN_LOSSES:
            raise InputError(f'model.gan is {gan!r}: set it to one of {", ".join(GAN_LOSSES)}.')
        if evaluate_with not in (OWN_HEAD, LAST_HEAD):
            raise InputError(
                f'model.evaluate_with is {evaluate_with!r}: set it to {OWN_HEAD} or {LAST_HEAD}.'
            )
        super().__init__(targets, backbone, decode_head, **kwargs)
        self.gan = gan
        self.adversarial_weight = (
            GAN_LOSSES[gan][1] if adversarial_weight is None else adversarial_weight
        )
        self.evaluate_with = evaluate_with
        self.discriminators = DiscriminatorBank([MODELS.build(discriminator) for _ in targets])
        self.discriminators.requires_grad_(False)
        self.self_information_maps: tuple[list[Tensor], list[Tensor]] | None = None

    def check_checkpoint(self, state_dict: dict[str, Tensor]) -> None:
        """Refuse a checkpoint that does not fit, or of a later stage with another deployed head."""
        heads = {name.split('.')[0] for name in state_dict}
        if {'decode_head', 'domain_heads'} <= heads:
            raise InputError(
                'The checkpoint has a decode head and domain heads, but AdversarialWarmup has only '
                'domain heads: use the config that the checkpoint was trained with, or a '
                'checkpoint of this warm-up.'
            )
        super().check_checkpoint(state_dict)

    def _init_decode_head(self, decode_head: dict) -> None:
        self._init_domain_heads(decode_head)
        self.align_corners = self.decode_head.align_corners
        self.num_classes = self.decode_head.num_classes
        self.out_channels = self.decode_head.out_channels

    @property
    def decode_head(self) -> BaseDecodeHead:
        """The head of the last target, which the authors use for evaluation."""
        return self.domain_heads[-1]

    def loss(self, inputs: dict, data_samples: None = None) -> dict[str, Tensor]:
        """Compute the network's losses, and store detached maps for the discriminators' update.

        Args:
            inputs (dict): A batch of :class:`MultiDomainDataPreprocessor`.
            data_samples (None): Not used.

        Returns:
            dict[str, Tensor]: Weighted scalars ``warmup/loss_source/<domain>`` and
            ``warmup/loss_adversarial/<domain>``.
        """
        source, losses = inputs['source'], {}
        size = source['img'].shape[2:]
        images = [source['img'], *(target['img'] for target in inputs['targets'])]
        features, *target_features = self.extract_passes(images)
        source_maps, target_maps = [], []
        for domain, logits in zip(self.targets, head_logits(self.domain_heads, features)):
            losses[f'warmup/loss_source/{domain}'] = source_cross_entropy(
                logits, source['label'], self.global_batch, self.align_corners
            )
            source_maps.append(self_information(logits.detach(), size, self.align_corners))

        for index, domain in enumerate(self.targets):
            (logits,) = head_logits([self.domain_heads[index]], target_features[index])
            target_map = self_information(logits, size, self.align_corners)
            fooled = gan_loss(self.discriminators[index](target_map), SOURCE, self.gan)
            losses[f'warmup/loss_adversarial/{domain}'] = self.adversarial_weight * fooled
            target_maps.append(target_map.detach())

        self.self_information_maps = source_maps, target_maps
        return losses

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Compute the logits (B, C, H, W) of each image with the head of its domain.

        Raises:
            InputError: If the domain of an image is not a target.
        """
        features = self.extract_feat(inputs)
        logits, start = [], 0
        # images of the same domain are adjacent in a batch
        for head, group in groupby(batch_img_metas, self._head_of):
            metas = list(group)
            share = [level[start : start + len(metas)] for level in features]
            logits.append(head.predict(share, metas, self.test_cfg))
            start += len(metas)
        return torch.cat(logits)

    def _head_of(self, meta: dict) -> BaseDecodeHead:
        domain = meta.get('domain')
        if self.evaluate_with == LAST_HEAD or domain is None:
            return self.decode_head
        if domain not in self.targets:
            raise InputError(
                f'{domain} is not one of the targets ({", ".join(self.targets)}) and has no head '
                "of its own: set model.evaluate_with='last_head'."
            )
        return self.domain_heads[self.targets.index(domain)]
