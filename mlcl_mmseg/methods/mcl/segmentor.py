"""Stage 2: multi-level self-training with hierarchical distillation (method.md §4)."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor
from torch.profiler import record_function

from ...errors import InputError
from ...labels import IGNORE_INDEX
from ...models.decode_heads import logits_of_passes, widened
from ...models.losses import (
    full_precision,
    pixel_cross_entropy,
    resize_logits,
    source_cross_entropy,
)
from ...models.style import StyleTransfer
from ...pseudo_labels import label_grid
from ...visualization.columns import Classes, Columns, Images, Shares
from ..base import SOURCE_TURN, MultiTargetSegmentor, PublishedFigures
from .geometry import warp_pseudo_label
from .losses import agreement_weight, distillation, masked_mean
from .released.published import published_figures
from .selection import select_pseudo_label


class LossPart(NamedTuple):
    """The passes through the network that one part of the loss needs.

    Attributes:
        images (list[Tensor]): (B, 3, H, W) of each pass.
        styles (list[Tensor | None]): For each pass, the images whose style is transferred to its
            images; None for images as they are.
        heads (list[list[BaseDecodeHead]]): For each pass, the heads that see its features alone.
        ensemble (list[int]): The passes whose features the ensemble head sees, in the order of its
            input.
    """

    images: list[Tensor]
    styles: list[Tensor | None]
    heads: list[list[BaseDecodeHead]]
    ensemble: list[int]


@MODELS.register_module()
class MCLSegmentor(MultiTargetSegmentor):
    """Multi-Level Collaborative Learning for any number of targets.

    The network has one head per target, one ensemble head on the concatenated features of all
    domain styles, and the domain-agnostic head. The domain-agnostic head is the ordinary
    ``decode_head`` and the only head that is deployed.

    Args:
        targets (list[str]): Names of the target domains.
        backbone (dict): Config of the backbone.
        decode_head (dict): Config of every head; the ensemble head has N times its ``in_channels``.
        style_transfer (dict): Config of the style transfer φ.
        gamma (float): Factor γ of the agreement weight.
        selection_quantile (float): Share of each class's pixels below its entropy threshold.
        entropy_floor (float): Entropy below which a pixel is always kept.
        ensemble_weight (float): Weight of the ensemble loss.
        cross_sample_mask (bool): Whether self-training losses are reduced as in the authors'
            released code (method.md §6-Q1), see :func:`masked_mean`.
        own_features_first (bool): Order of the ensemble head's input in target i's pass. If True,
            the target's own features come first, as in the authors' released code. If False,
            features are in the order of the domains, as in the source pass (method.md §6-Q5).
        **kwargs: Keyword arguments of :class:`MultiTargetSegmentor`.

    Raises:
        InputError: If ``style_transfer`` is no :class:`~mlcl_mmseg.models.style.StyleTransfer`.
    """

    stage_name = 'mcl'
    starting_parts = MultiTargetSegmentor.labelling_parts
    training_parts = ('domain_heads.', 'ensemble_head.')

    def __init__(
        self,
        targets: list[str],
        backbone: dict,
        decode_head: dict,
        style_transfer: dict = dict(type='ReinhardTransfer'),  # noqa: B006
        gamma: float = 1.0,
        selection_quantile: float = 0.5,
        entropy_floor: float = 0.25,
        ensemble_weight: float = 0.05,
        cross_sample_mask: bool = True,
        own_features_first: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(targets, backbone, decode_head, **kwargs)
        self.style_transfer = MODELS.build(style_transfer)
        if not isinstance(self.style_transfer, StyleTransfer):
            raise InputError(
                f'model.style_transfer is {type(self.style_transfer).__name__}: derive it from '
                'mlcl_mmseg.models.style.StyleTransfer.'
            )
        self.gamma = gamma
        self.selection_quantile = selection_quantile
        self.entropy_floor = entropy_floor
        self.ensemble_weight = ensemble_weight
        self.cross_sample_mask = cross_sample_mask
        self.own_features_first = own_features_first

    def _init_decode_head(self, decode_head: dict) -> None:
        super()._init_decode_head(decode_head)
        self.ensemble_head = MODELS.build(widened(decode_head, self.num_targets))

    @property
    def turns(self) -> Sequence[str | None]:
        """The parts of the loss, each with its own backward pass; None is the whole loss."""
        *others, last = super().turns
        # the source has most passes: its turn comes before there are gradients in memory
        return [last, *others]

    def loss(self, inputs: dict, data_samples: None = None) -> dict[str, Tensor]:
        """Compute all losses of one step.

        Args:
            inputs (dict): A batch of :class:`MultiDomainDataPreprocessor` whose targets have
                ``img``, ``strong_img``, ``soft_pseudo_label`` (unless there is a teacher),
                ``strong_affine`` and ``strong_cutout``. If it has an entry ``turn``, one of
                :attr:`turns`, only that part of the loss is computed.
            data_samples (None): Not used.

        Returns:
            dict[str, Tensor]: Scalars ``mcl/loss_<term>``, weighted and summed over heads or
            targets, and ``mcl/kept_pixels/<domain>`` and ``mcl/agreement/<domain>`` from 0 to 1.
        """
        source, targets, turn = inputs['source'], inputs['targets'], inputs.get('turn')
        parts: dict[str, LossPart] = {}
        if turn in (None, SOURCE_TURN):
            parts[SOURCE_TURN] = self.source_part(source, targets)
        for index, domain in enumerate(self.targets):
            if turn in (None, domain):
                parts[domain] = self.target_part(index, targets)
        losses: dict[str, Tensor] = {}
        for name, logits in zip(parts, self.part_logits([*parts.values()])):
            if name == SOURCE_TURN:
                losses['mcl/loss_source'] = self.source_losses(logits, source['label']).sum()
                continue
            index = self.targets.index(name)
            for term, value in self.target_losses(logits, index, targets[index]).items():
                if term.startswith('loss_'):
                    losses[f'mcl/{term}'] = losses.get(f'mcl/{term}', 0) + value
                else:
                    losses[f'mcl/{term}/{name}'] = value
        return losses

    def source_part(self, source: dict, targets: Sequence[dict]) -> LossPart:
        """Return the passes of the source.

        Each domain head sees the source in the style of its target, the domain-agnostic head the
        original images, and the ensemble head all target styles.

        Args:
            source (dict): The source's part of a batch.
            targets (Sequence[dict]): The parts of all targets.
        """
        return LossPart(
            [source['img']] * (self.num_targets + 1),
            [*(target['img'] for target in targets), None],
            [*([head] for head in self.domain_heads), [self.decode_head]],
            [*range(self.num_targets)],
        )

    def target_part(self, index: int, targets: Sequence[dict]) -> LossPart:
        """Return the passes of a target: its strong view, and this in the style of each other one.

        Args:
            index (int): Index i of the target.
            targets (Sequence[dict]): The parts of all targets in the batch.
        """
        passes = range(self.num_targets)
        others = [j for j in passes if j != index]
        order = [index, *others]
        return LossPart(
            [targets[index]['strong_img']] * self.num_targets,
            [None, *(targets[j]['strong_img'] for j in others)],
            [
                [self.domain_heads[index], self.decode_head],
                *([self.domain_heads[j]] for j in others),
            ],
            [*passes] if self.own_features_first else sorted(passes, key=order.__getitem__),
        )

    def images_of(self, parts: Sequence[LossPart]) -> list[Tensor]:
        """Return the images of all passes, (B, 3, H, W) each; styles are transferred in one call.

        Args:
            parts (Sequence[LossPart]): The parts.
        """
        passes = [each for part in parts for each in zip(part.images, part.styles)]
        pairs = [pair for pair in passes if pair[1] is not None]
        with record_function('style'):
            styled = iter(self.style_transfer.pairs(pairs) if pairs else [])
        return [image if style is None else next(styled) for image, style in passes]

    def part_logits(self, parts: Sequence[LossPart]) -> list[list[Tensor]]:
        """Compute the logits of several parts, all passes as one batch.

        Args:
            parts (Sequence[LossPart]): The parts.

        Returns:
            list[list[Tensor]]: For each part, the logits (B, classes, h, w) of its heads in the
            order of the passes, and then of the ensemble head.
        """
        starts = [0, *itertools.accumulate(len(part.images) for part in parts)]
        every, ensembles = logits_of_passes(
            self.extract_passes(self.images_of(parts)),
            [heads for part in parts for heads in part.heads],
            self.ensemble_head,
            [[start + each for each in part.ensemble] for start, part in zip(starts, parts)],
        )
        return [
            [*itertools.chain(*every[start:end]), ensemble]
            for start, end, ensemble in zip(starts, starts[1:], ensembles)
        ]

    def source_losses(self, logits: Sequence[Tensor], label: Tensor) -> Tensor:
        """Compute the cross-entropy of every head on the source.

        Args:
            logits (Sequence[Tensor]): The logits of :meth:`source_part`.
            label (Tensor): (B, H, W) int64 class indices, 255 = ignore.

        Returns:
            Tensor: (N + 2,), of the domain heads, the domain-agnostic head and the ensemble head.
        """
        stacked = torch.stack(list(logits))
        return source_cross_entropy(stacked, label, self.global_batch, self.align_corners)

    def target_losses(
        self, logits: Sequence[Tensor], index: int, target: dict
    ) -> dict[str, Tensor]:
        """Compute the losses of one target.

        Args:
            logits (Sequence[Tensor]): The logits of :meth:`target_part`.
            index (int): Index i of the target.
            target (dict): The target's part of the batch.

        Returns:
            dict[str, Tensor]: Scalars ``loss_individual``, ``loss_collaborative`` (absent for
            N = 1), ``loss_ensemble`` (weighted), ``loss_distillation``, ``kept_pixels`` and
            ``agreement``.
        """
        pseudo_label = self.pseudo_label(index, target)
        kept = pseudo_label != IGNORE_INDEX
        size = pseudo_label.shape[1:]
        individual, agnostic, *collaborative, ensemble = resize_logits(
            torch.cat(list(logits)), size, self.align_corners
        ).chunk(len(logits))

        weight = agreement_weight(individual, collaborative, self.gamma)
        trained = torch.stack([individual, ensemble, *collaborative])
        loss = pixel_cross_entropy(trained, pseudo_label.expand(len(trained), *kept.shape))
        of_individual, of_ensemble, *of_others = masked_mean(
            weight * loss, kept, self.cross_sample_mask, self.global_batch
        )
        losses = dict(loss_individual=of_individual)
        if of_others:
            losses['loss_collaborative'] = torch.stack(of_others).mean()
        distilled = distillation(agnostic, individual) + distillation(individual, ensemble)
        return dict(
            **losses,
            loss_ensemble=self.ensemble_weight * of_ensemble,
            loss_distillation=distilled / self.num_targets,
            kept_pixels=kept.float().mean(),
            agreement=weight.mean(),
        )

    @torch.no_grad()
    def soft_view(self, index: int, target: dict) -> Tensor:
        """Return the soft pseudo-labels of a target's weak view, from files or the teacher.

        Returns:
            Tensor: (B, C, h, w) class probabilities, on the label grid if they come from files, at
            crop size if they come from the teacher.

        Raises:
            InputError: If there are neither stored soft pseudo-labels nor a teacher.
        """
        soft = target.get('soft_pseudo_label')
        if soft is None:
            if self.teacher is None:
                raise InputError(
                    'The batch has no soft pseudo-labels: add LoadSoftPseudoLabel to '
                    'train_dataloader.dataset.target_pipeline, or TeacherHook to custom_hooks.'
                )
            soft = self.teacher(target['img'], index)
            soft = resize_logits(soft, target['img'].shape[2:], self.align_corners)
        return full_precision(soft)

    @torch.no_grad()
    def pseudo_label(self, index: int, target: dict) -> Tensor:
        """Select the hard pseudo-labels of a target's weak view and warp them to the strong view.

        Returns:
            Tensor: (B, h/4, w/4) int64, 255 = ignore.
        """
        size = label_grid(target['strong_img'].shape[2:])
        selected = self.hard_pseudo_label(self.soft_view(index, target), size, self.global_batch)
        return warp_pseudo_label(selected, target['strong_affine'], target['strong_cutout'])

    @torch.no_grad()
    def hard_pseudo_label(
        self, soft: Tensor, size: Sequence[int], global_batch: bool = False
    ) -> Tensor:
        """Keep the pixels whose entropy is below the threshold of their class.

        Args:
            soft (Tensor): (B, C, h, w) class probabilities of one target.
            size (Sequence[int]): (h', w') of the result.
            global_batch (bool): Whether pixels are selected over the batch of all processes.

        Returns:
            Tensor: (B, h', w') int64 class indices, 255 = ignore.
        """
        return select_pseudo_label(
            soft,
            self.selection_quantile,
            self.entropy_floor,
            size,
            global_batch,
            self.align_corners,
        )

    def source_columns(self, inputs: dict) -> Columns:
        """Add the source in the colours of each target to the columns."""
        columns = super().source_columns(inputs)
        styles = self.images_of([self.source_part(inputs['source'], inputs['targets'])])
        for name, styled in zip(self.targets, styles):
            columns[f'in the colours of {name}'] = Images(styled)
        return columns

    def target_columns(self, inputs: dict, index: int) -> Columns:
        """Show both views, the pseudo-labels if there are any, and the other targets' styles."""
        target = inputs['targets'][index]
        strong = target['strong_img']
        columns = super().target_columns(inputs, index)
        is_labelled = 'soft_pseudo_label' in target or self.teacher is not None
        if is_labelled:
            share, likeliest = self.soft_view(index, target).max(dim=1)
            columns['soft pseudo-label: likeliest class'] = Classes(target['img'], likeliest)
            columns['soft pseudo-label: its probability'] = Shares(share)
        columns['strong view'] = Images(strong)
        if is_labelled:
            selected = self.pseudo_label(index, target)
            columns['selected pseudo-label'] = Classes(strong, selected)
        others = [name for name in self.targets if name != self.targets[index]]
        _, *styles = self.images_of([self.target_part(index, inputs['targets'])])
        for name, styled in zip(others, styles):
            columns[f'in the colours of {name}'] = Images(styled)
        return columns

    def validation_columns(self, images: Tensor, domain: str) -> Columns:
        """Show the pseudo-labels that the network keeps now, with thresholds for each image."""
        if domain not in self.targets:
            return {}
        soft = self.soft_pseudo_label(images, self.targets.index(domain))
        size = label_grid(images.shape[2:])
        kept = torch.cat([self.hard_pseudo_label(each, size) for each in soft.split(1)])
        return {'kept pseudo-labels': Classes(images, kept)}

    @classmethod
    def published_figures(cls, config: Config) -> PublishedFigures | None:
        """Return the authors' results for a config's setting, None if there are none."""
        return published_figures(config)

    def measured_operations(self, inputs: dict) -> dict[str, Callable[[], Any]]:
        """Return all style transfers of a step, and the selection of a target's pseudo-labels."""
        source, targets = inputs['source'], inputs['targets']
        parts = [self.source_part(source, targets)]
        parts += [self.target_part(index, targets) for index in range(self.num_targets)]
        return dict(
            style=lambda: self.images_of(parts),
            select=lambda: self.pseudo_label(0, targets[0]),
        )
