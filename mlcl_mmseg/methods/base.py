"""The contract of a method: the interface of a segmentor that training, reports and tools use.

Engine, reports, browsing, contact sheets, benchmark and converters use only the attributes and
methods defined here, all of which have defaults. None of them names a method.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.model import ModuleList, is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from torch import Tensor
from torch.profiler import record_function

from ..errors import InputError
from ..models.checkpoint_parts import check_num_classes, check_parts, forgive_missing
from ..models.data_preprocessor import MultiDomainDataPreprocessor
from ..models.decode_heads import as_levels, head_logits
from ..models.losses import resize_logits
from ..models.norms import (
    PassBatchNorm,
    batch_norms,
    can_separate_passes,
    passes_in_batch,
    separate_passes,
)
from ..models.recomputation import recompute_blocks
from ..models.train_step import AsyncBool, train_step
from ..visualization.columns import Classes, Columns, Images

# name of the network's optimiser wrapper if there are several wrappers
NETWORK = 'network'
# the empty prefix, which matches the name of every tensor
ALL_PARTS = ('',)
# remedies for a checkpoint that lacks tensors
FITTING = (
    'use a checkpoint with the same backbone and heads, from a stage that has them, and not a '
    'stripped one for training'
)
RESUMABLE = 'resume from iter_*.pth, not from best_*.pth or a stripped checkpoint'
# how the backward pass of a step with several targets is divided
AUTO, TOGETHER, PER_TARGET = 'auto', 'together', 'per_target'
# name of the source's turn of a step per target; the others have the names of the targets
SOURCE_TURN = 'the source'


class PublishedFigures(NamedTuple):
    """The results that the authors of a method published for a setting.

    Attributes:
        setting (str): Name of the setting, such as 'g2ci_19'.
        iterations (int): Number of iterations of the authors' training.
        mean (float): mIoU in percent, mean over the targets.
        per_domain (dict[str, dict]): For each target, ``mIoU`` in percent, and ``IoU`` of each
            class if it was published.
        curve (dict[int, dict[str, float]]): For each validated iteration, the mIoU in percent of
            each target and 'mean'; empty if no validations were published.
        seconds (float, optional): Median seconds of an iteration in the authors' logs; None if no
            logs were published.
    """

    setting: str
    iterations: int
    mean: float
    per_domain: dict[str, dict]
    curve: dict[int, dict[str, float]]
    seconds: float | None = None


class DomainSegmentor(EncoderDecoder):
    """:class:`mmseg.models.EncoderDecoder`, evaluated at the size of the loaded label.

    A method is a subclass that defines ``loss``. Everything else that the project needs from a
    method has a default here. Groups of tensors ("parts") are given by prefixes of their names.

    Args:
        *args: Arguments of :class:`mmseg.models.EncoderDecoder`.
        global_batch (bool): Whether the thresholds, masks and normalisers of the losses are
            computed over the whole batch of all processes. If False, each process computes its
            own.
        channels_last (bool): Whether weights and images are stored in channels-last format, which
            is faster for convolutions.
        recompute_activations (bool): Whether the backward pass recomputes the activations inside
            the backbone's blocks instead of storing them. This saves memory at the cost of a
            second forward pass.
        compile_backbone (dict, optional): Arguments of :func:`torch.compile` for the backbone.
            With ``dict(mode='reduce-overhead')``, GPUs replay its kernels as CUDA graphs, which
            costs the host almost nothing, and norms, activations and sums are fused. By default,
            it is not compiled.
        **kwargs: Keyword arguments of :class:`mmseg.models.EncoderDecoder`.

    Raises:
        InputError: If there is an auxiliary head, or options cannot be combined.
    """

    # name of the folder, and prefix of the log entries, of a stage that trains with this method; if
    # empty, the class name in snake case
    stage_name: str = ''
    # prefixes of tensors that prediction needs: every checkpoint must contain them
    deployed_parts: tuple[str, ...] = ('backbone.', 'neck.', 'decode_head.')
    # prefixes of tensors that are loaded from the checkpoint that a training starts from
    starting_parts: tuple[str, ...] = ('backbone.', 'neck.')
    # prefixes of tensors that only training needs: a checkpoint may lack all of them
    training_parts: tuple[str, ...] = ()
    # prefixes of tensors that only a resumed training needs: checkpoints without optimiser state
    # omit them
    resume_parts: tuple[str, ...] = ()
    # child modules that have an optimiser of their own, which has the name of the module
    separate_optimisers: tuple[str, ...] = ()
    # names of the target domains, in the order of the data set; None: targets are ignored
    targets: list[str] | None = None
    # whether loss and gradients of the last training step were finite, so that it was not skipped
    step_is_finite: AsyncBool = AsyncBool(torch.tensor(True))
    # set by a run: the context of validations and tests, such as a precision
    prediction_context: Callable[[], AbstractContextManager] = nullcontext

    def __init__(
        self,
        *args: Any,
        global_batch: bool = True,
        channels_last: bool = True,
        recompute_activations: bool = False,
        compile_backbone: dict | None = None,
        **kwargs: Any,
    ) -> None:
        if recompute_activations and compile_backbone is not None:
            raise InputError(
                'model.recompute_activations and model.compile_backbone cannot be combined: set '
                'one of them.'
            )
        super().__init__(*args, **kwargs)
        if self.with_auxiliary_head:
            raise InputError(
                f'model.auxiliary_head is set, but {type(self).__name__} does not train it: remove '
                'it.'
            )
        if isinstance(self.data_preprocessor, MultiDomainDataPreprocessor):
            self.data_preprocessor.leave_normalisation()
        separate_passes(self)
        self.global_batch = global_batch
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self.memory_format)
        self.required_parts: Sequence[str] = self.deployed_parts
        self.register_load_state_dict_post_hook(partial(forgive_missing, parts=self.training_parts))
        if recompute_activations:
            recompute_blocks(self.backbone)
        if compile_backbone is not None:
            for module in self.backbone.modules():
                if isinstance(module, PassBatchNorm):
                    module.elementary = True
            self.backbone.compile(**compile_backbone)

    # Training

    @property
    def turns(self) -> Sequence[str | None]:
        """The parts of the loss, each with its own backward pass; None is the whole loss."""
        return (None,)

    def loss(self, inputs: dict, data_samples: None = None) -> dict[str, Tensor]:
        """Compute the losses of one step.

        Args:
            inputs (dict): A batch of :class:`MultiDomainDataPreprocessor`. If it has an entry
                ``turn``, one of :attr:`turns`, only that part of the loss is computed.
            data_samples (None): Not used.

        Returns:
            dict[str, Tensor]: Scalars by name, ``<stage_name>/<figure>``. All are logged. The sum
            of those with 'loss' in their name is minimised.
        """
        raise NotImplementedError

    def train_step(
        self, data: dict, optim_wrapper: OptimWrapper | OptimWrapperDict
    ) -> dict[str, Tensor]:
        """Train the network for one step, see :func:`mlcl_mmseg.models.train_step.train_step`."""
        return train_step(self, data, network_wrapper(optim_wrapper), self.turns)

    # Networks

    def extract_feat(self, inputs: Tensor) -> Sequence[Tensor]:
        """Compute the features of the backbone, and of the neck if there is one.

        Args:
            inputs (Tensor): (B, 3, H, W) RGB from 0 to 1. The data preprocessor's mean and
                standard deviation are applied here, so that all earlier operations work on
                colours.

        Returns:
            Sequence[Tensor]: Features of each level, (B, C, h, w).
        """
        with record_function('backbone'):
            if isinstance(self.data_preprocessor, MultiDomainDataPreprocessor):
                inputs = self.data_preprocessor.normalise(inputs)
            features = self.backbone(inputs.contiguous(memory_format=self.memory_format))
            return as_levels(self.neck(as_levels(features)) if self.with_neck else features)

    def extract_passes(self, images: Sequence[Tensor]) -> list[Sequence[Tensor]]:
        """Compute the features of several batches, each with its own batch statistics.

        The batches are processed as one, unless there is a batch norm that cannot separate their
        statistics (method.md §4).

        Args:
            images (Sequence[Tensor]): (B, 3, H, W) each, all of the same size.

        Returns:
            list[Sequence[Tensor]]: For each batch, the result of :meth:`extract_feat`.
        """
        parts = [self.backbone, self.neck] if self.with_neck else [self.backbone]
        norms = batch_norms(parts)
        if not can_separate_passes(norms):
            return [self.extract_feat(each) for each in images]
        with passes_in_batch(norms, len(images)):
            levels = self.extract_feat(torch.cat(list(images)))
        return list(zip(*(level.chunk(len(images)) for level in levels)))

    def val_step(self, data: dict) -> list:
        """Predict a batch of the loader in :attr:`prediction_context`."""
        with self.prediction_context():
            return super().val_step(data)

    def test_step(self, data: dict) -> list:
        """Predict a batch of the loader in :attr:`prediction_context`."""
        with self.prediction_context():
            return super().test_step(data)

    def predict(self, inputs: Tensor, data_samples: list | None = None) -> list:
        """Predict at the size of the label if there is one, else at the original image size.

        The position of ``LoadRawLabel`` in the pipeline therefore decides how a model is evaluated.
        Before ``Resize``, it is evaluated at the working size, which is the paper's protocol
        (method.md §2). After ``Resize``, it is evaluated at full label resolution.

        Args:
            inputs (Tensor): (B, 3, H, W) RGB from 0 to 1.
            data_samples (list[SegDataSample], optional): Meta information and labels of the images.

        Returns:
            list[SegDataSample]: With ``pred_sem_seg`` (1, h, w) and ``seg_logits`` (C, h, w).
        """
        for data_sample in data_samples or []:
            if 'gt_sem_seg' in data_sample:
                data_sample.set_metainfo(dict(ori_shape=tuple(data_sample.gt_sem_seg.shape)))
        return super().predict(inputs, data_samples)

    # Checkpoints

    def require(self, parts: Sequence[str]) -> None:
        """Set which tensors a checkpoint must contain to be loaded from now on.

        Prediction requires :attr:`deployed_parts`, which is the default. A training requires
        :attr:`starting_parts` when it starts, and all tensors when it is resumed.

        Args:
            parts (Sequence[str]): Name prefixes of the required tensors.
        """
        self.required_parts = tuple(parts)

    def check_checkpoint(self, state_dict: dict[str, Tensor]) -> None:
        """Refuse a checkpoint with another method, number of classes or tensor shape.

        Args:
            state_dict (dict[str, Tensor]): Tensors of the checkpoint by name.

        Raises:
            InputError: If the checkpoint does not fit this model.
        """
        check_num_classes(state_dict, self.num_classes)
        remedy = FITTING if self.required_parts != ALL_PARTS else RESUMABLE
        check_parts(self, state_dict, self.required_parts, remedy)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        """Check a checkpoint before it is loaded; MMEngine would only log missing tensors."""
        self.check_checkpoint(
            {name.removeprefix(prefix): value for name, value in state_dict.items()}
        )
        super()._load_from_state_dict(state_dict, prefix, *args)

    # Visualization

    def source_columns(self, inputs: dict) -> Columns:
        """Return the images to show of the source's part of a batch, as columns.

        Args:
            inputs (dict): A batch as for :meth:`loss`.
        """
        source = inputs['source']
        return {
            'image': Images(source['img']),
            'label': Classes(source['img'], source['label']),
        }

    def target_columns(self, inputs: dict, index: int) -> Columns:
        """Return the images to show of a target's part of a batch, as columns.

        Args:
            inputs (dict): A batch as for :meth:`loss`.
            index (int): Index of the target.
        """
        return {'weak view': Images(inputs['targets'][index]['img'])}

    def validation_columns(self, images: Tensor, domain: str) -> Columns:
        """Return the columns to show beside image, prediction and label of validation images.

        The model is in eval mode.

        Args:
            images (Tensor): (B, 3, H, W) RGB from 0 to 1.
            domain (str): Name of the images' domain.
        """
        return {}

    @classmethod
    def published_figures(cls, config: Config) -> PublishedFigures | None:
        """Results that the method's authors published for a config's setting, None without any."""
        return None

    def measured_operations(self, inputs: dict) -> dict[str, Callable[[], Any]]:
        """Return operations of a step, by name, that the benchmark can time separately.

        Args:
            inputs (dict): A batch as for :meth:`loss`.
        """
        return {}


class MultiTargetSegmentor(DomainSegmentor):
    """A backbone with one decode head per target domain.

    Training uses batches of :class:`MultiDomainDataset`. Inference works as in
    :class:`DomainSegmentor`.

    Args:
        targets (list[str]): Names of the target domains, in the order of the data set's targets.
        backbone (dict): Config of the backbone.
        decode_head (dict): Config of every classifier: any decode head of MMSegmentation.
        backward (str): 'together' for one backward pass of the whole loss; 'per_target' for one
            backward pass of the source's part and one of each target's part, which need less
            memory for the same gradient. 'auto' is 'together' on GPUs, which have more to do at a
            time, and 'per_target' on CPUs.
        **kwargs: Keyword arguments of :class:`DomainSegmentor`.

    Raises:
        InputError: If there is no target, one is named twice, a name contains 'loss', or
            ``backward`` is unknown.
    """

    # prefixes of tensors that are needed to compute soft pseudo-labels
    labelling_parts: tuple[str, ...] = ('backbone.', 'neck.', 'domain_heads.')
    # set by a hook: labels the targets in each step, in place of stored pseudo-labels
    teacher: Callable[[Tensor, int], Tensor] | None = None
    targets: list[str]

    def __init__(
        self,
        targets: list[str],
        backbone: dict,
        decode_head: dict,
        backward: str = AUTO,
        **kwargs: Any,
    ) -> None:
        if backward not in (AUTO, TOGETHER, PER_TARGET):
            raise InputError(
                f'model.backward is {backward!r}: set it to {AUTO}, {TOGETHER} or {PER_TARGET}.'
            )
        if not targets or len(set(targets)) < len(targets):
            raise InputError(f'model.targets is {targets}: name one or more domains, each once.')
        for name in targets:
            if 'loss' in name:
                raise InputError(
                    f"The domain {name!r} has 'loss' in its name, by which MMEngine recognises "
                    'losses: rename the domain.'
                )
        self.targets = list(targets)
        self.backward = backward
        super().__init__(backbone=backbone, decode_head=decode_head, **kwargs)

    @property
    def num_targets(self) -> int:
        """The number of target domains N."""
        return len(self.targets)

    @property
    def turns(self) -> Sequence[str | None]:
        """The parts of the loss, each with its own backward pass; None is the whole loss."""
        together = self.backward == TOGETHER
        if self.backward == AUTO:
            together = next(self.parameters()).is_cuda
        # DDP reduces gradients in the last turn, which must therefore need all parameters
        return [None] if together else [*self.targets, SOURCE_TURN]

    def _init_decode_head(self, decode_head: dict) -> None:
        super()._init_decode_head(decode_head)
        self._init_domain_heads(decode_head)

    def _init_domain_heads(self, decode_head: dict) -> None:
        self.domain_heads = ModuleList([MODELS.build(decode_head) for _ in self.targets])

    @torch.no_grad()
    def soft_pseudo_label(self, inputs: Tensor, target: int) -> Tensor:
        """Predict class probabilities at feature resolution with a target's own head.

        Args:
            inputs (Tensor): (B, 3, H, W) images of that target, RGB from 0 to 1.
            target (int): Index of the target.

        Returns:
            Tensor: (B, C, h, w) float32.
        """
        (logits,) = head_logits([self.domain_heads[target]], self.extract_feat(inputs))
        return logits.float().softmax(dim=1)

    @torch.no_grad()
    def hard_pseudo_label(
        self, soft: Tensor, size: Sequence[int], global_batch: bool = False
    ) -> Tensor:
        """Convert soft to hard pseudo-labels for the pixels that the method trusts.

        Here all pixels are trusted.

        Args:
            soft (Tensor): (B, C, h, w) class probabilities of one target.
            size (Sequence[int]): (h', w') of the result.
            global_batch (bool): Whether pixels are selected over the batch of all processes.

        Returns:
            Tensor: (B, h', w') int64 class indices, 255 = not trusted.
        """
        if soft.shape[2:] != tuple(size):
            soft = resize_logits(soft, size, self.align_corners)
        return soft.argmax(dim=1)

    def check_checkpoint(self, state_dict: dict[str, Tensor]) -> None:
        """Refuse a checkpoint that does not fit, or has another number of domain heads."""
        heads = {name.split('.')[1] for name in state_dict if name.startswith('domain_heads.')}
        if heads and len(heads) != self.num_targets:
            raise InputError(
                f'The checkpoint has {len(heads)} domain heads, but model.targets names '
                f'{self.num_targets} domains ({", ".join(self.targets)}): use the checkpoint of '
                'the same setting.'
            )
        super().check_checkpoint(state_dict)


def segmentor_of(runner: Runner) -> Any:
    """Return the segmentor that a runner trains, without its distributed wrapper."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def network_wrapper(optim_wrapper: OptimWrapper | OptimWrapperDict) -> OptimWrapper:
    """Return the optimiser wrapper of the network, which may be one of several wrappers."""
    is_dict = isinstance(optim_wrapper, OptimWrapperDict)
    return optim_wrapper[NETWORK] if is_dict else optim_wrapper


def segmentor_class(config: Config) -> type[DomainSegmentor]:
    """Return the class of a config's model; DomainSegmentor for models of MMSegmentation."""
    found = MODELS.get(config.model.type)
    return (
        found if isinstance(found, type) and issubclass(found, DomainSegmentor) else DomainSegmentor
    )
