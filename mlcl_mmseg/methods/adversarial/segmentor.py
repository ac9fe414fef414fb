"""Stage 1: source supervision with adversarial alignment of each target (method.md §3)."""

from itertools import groupby
from typing import Any

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor

from ...errors import InputError
from ...models.decode_heads import logits_of_passes
from ...models.losses import source_cross_entropy
from ..base import SOURCE_TURN, MultiTargetSegmentor
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
        # of the source by each head, and of each target; stored for the discriminators' turn
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
            inputs (dict): A batch of :class:`MultiDomainDataPreprocessor`. If it has an entry
                ``turn``, one of :attr:`turns`, only that part of the loss is computed.
            data_samples (None): Not used.

        Returns:
            dict[str, Tensor]: Weighted scalars ``warmup/loss_source/<domain>`` and
            ``warmup/loss_adversarial/<domain>``.
        """
        source, targets, turn = inputs['source'], inputs['targets'], inputs.get('turn')
        size = source['img'].shape[2:]
        # the source is the first pass, seen by all heads
        has_source = turn in (None, SOURCE_TURN)
        indices = [i for i, domain in enumerate(self.targets) if turn in (None, domain)]
        images = [source['img']] * has_source + [targets[index]['img'] for index in indices]
        heads = [[*self.domain_heads]] * has_source
        heads += [[self.domain_heads[index]] for index in indices]
        logits, _ = logits_of_passes(self.extract_passes(images), heads)

        losses: dict[str, Tensor] = {}
        nothing = [source['img'].new_empty(0)] * self.num_targets
        source_maps, target_maps = self.self_information_maps or ([*nothing], [*nothing])
        self.self_information_maps = source_maps, target_maps
        if has_source:
            stacked = torch.stack(logits.pop(0))
            values = source_cross_entropy(
                stacked, source['label'], self.global_batch, self.align_corners
            )
            for domain, value in zip(self.targets, values):
                losses[f'warmup/loss_source/{domain}'] = value
            maps = self_information(stacked.detach().flatten(0, 1), size, self.align_corners)
            source_maps[:] = maps.chunk(self.num_targets)
        for index, (own,) in zip(indices, logits):
            target_map = self_information(own, size, self.align_corners)
            fooled = gan_loss(self.discriminators[index](target_map), SOURCE, self.gan)
            name = f'warmup/loss_adversarial/{self.targets[index]}'
            losses[name] = self.adversarial_weight * fooled
            target_maps[index] = target_map.detach()
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
