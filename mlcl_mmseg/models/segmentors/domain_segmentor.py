"""An encoder-decoder whose predictions have the size that they are compared at."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from mmengine.optim import OptimWrapper
from mmseg.models import EncoderDecoder
from torch import Tensor

from ...errors import InputError
from .recomputation import recompute_blocks
from .train_step import train_step

if TYPE_CHECKING:
    from torch.nn.modules.module import _IncompatibleKeys


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
