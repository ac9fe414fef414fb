"""The contract of a method: a network evaluated per domain, and one with a head per target."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from mmengine.model import ModuleList, is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import InputError
from ..models.decode_heads import DeepLabV2Head
from ..models.recomputation import recompute_blocks
from ..models.train_step import train_step

if TYPE_CHECKING:
    from torch.nn.modules.module import _IncompatibleKeys

# what MCL takes over from a warm-up
WARMUP_PARTS = ('backbone.', 'neck.', 'domain_heads.')


class DomainSegmentor(EncoderDecoder):
    """:class:`mmseg.models.EncoderDecoder`, evaluated at the size of the loaded label.

    Args:
        *args: Those of :class:`mmseg.models.EncoderDecoder`.
        global_batch (bool): Whether thresholds, masks and normalisers of the losses are those of
            the whole batch where processes share it; False: those of each process.
        channels_last (bool): Whether weights and images lie in memory with their channels last,
            which convolutions are faster with.
        recompute_activations (bool): Whether the backward pass computes what is inside the
            backbone's blocks again instead of keeping it: less memory for a second forward pass.
        **kwargs: Those of :class:`mmseg.models.EncoderDecoder`.
    """

    # how the names of tensors begin that every checkpoint has to hold
    needed_parts: tuple[str, ...] = ('backbone.', 'neck.', 'decode_head.')
    # and of those that only training needs: a checkpoint may be without all of them
    training_parts: tuple[str, ...] = ()
    # whether the last training step's loss was finite, and so the step taken
    step_is_finite: bool = True

    def __init__(
        self,
        *args: Any,
        global_batch: bool = True,
        channels_last: bool = True,
        recompute_activations: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.global_batch = global_batch
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self.memory_format)
        self.register_load_state_dict_post_hook(do_without_training_parts)
        if recompute_activations:
            recompute_blocks(self.backbone)

    @property
    def turns(self) -> Sequence[str | None]:
        """The parts of the loss that have a backward pass of their own; None is the whole."""
        return (None,)

    def extract_feat(self, inputs: Tensor) -> Sequence[Tensor]:
        """Images (B, 3, H, W) to the maps of the backbone, or of its neck."""
        return super().extract_feat(inputs.contiguous(memory_format=self.memory_format))

    def train_step(self, data: dict, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """One step, see :func:`train_step`."""
        return train_step(self, data, optim_wrapper, self.turns)

    def predict(self, inputs: Tensor, data_samples: list | None = None) -> list:
        """Predict, at the size of the label where there is one, else at the image's own size.

        The place of ``LoadRawLabel`` in the pipeline thus decides how a model is evaluated:
        before ``Resize`` at the working size, which is the paper's protocol (method.md §2), after
        it at full label resolution.

        Args:
            inputs (Tensor): (B, 3, H, W) RGB from 0 to 1.
            data_samples (list[SegDataSample], optional): What is known of the images.

        Returns:
            list[SegDataSample]: With ``pred_sem_seg`` (1, h, w) and ``seg_logits`` (C, h, w).
        """
        for data_sample in data_samples or []:
            if 'gt_sem_seg' in data_sample:
                data_sample.set_metainfo(dict(ori_shape=tuple(data_sample.gt_sem_seg.shape)))
        return super().predict(inputs, data_samples)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        """Refuse a checkpoint that would leave a needed part as it is.

        MMEngine would only log what is missing.

        Raises:
            InputError: If the checkpoint has other classes, heads or shapes, or lacks a part.
        """
        self._check_checkpoint(
            {name.removeprefix(prefix): value for name, value in state_dict.items()}
        )
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _check_checkpoint(self, state_dict: dict[str, Tensor]) -> None:
        for name, value in state_dict.items():
            if name.endswith('conv_seg.weight') and len(value) != self.num_classes:
                raise InputError(
                    f'The checkpoint has {len(value)} classes, but the model has '
                    f'{self.num_classes}: use the config with that number of classes.'
                )
        for name, value in self.state_dict().items():
            if not name.startswith(self.needed_parts) or name.endswith('num_batches_tracked'):
                continue
            if name not in state_dict or state_dict[name].shape != value.shape:
                raise InputError(
                    f'The checkpoint has no {name} of shape {tuple(value.shape)}, which '
                    f'{type(self).__name__} needs here: give one of the same backbone and heads, '
                    'of a stage that has them, and not stripped if it is to be trained.'
                )


def do_without_training_parts(
    module: DomainSegmentor, incompatible_keys: '_IncompatibleKeys'
) -> None:
    """Let checkpoints that are for prediction alone load strictly, and without a word."""
    missing = incompatible_keys.missing_keys
    names = [name for name in module.state_dict() if name.startswith(module.training_parts)]
    if set(names) <= set(missing):
        for name in names:
            missing.remove(name)


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


def segmentor_of(runner: Runner) -> DomainSegmentor:
    """The segmentor that a runner trains, without its distributed wrapper."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
