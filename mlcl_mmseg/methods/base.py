"""The contract of a method: what training, reports and tools ask of a segmentor.

Engine, report, browsing, contact sheets, benchmark and converters ask by the attributes and methods
here, all of which have defaults. None of them names a method.
"""

from collections.abc import Callable, Sequence
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
from torch.nn.modules.batchnorm import _BatchNorm
from torch.profiler import record_function

from ..errors import InputError
from ..models.checkpoint_parts import check_num_classes, check_parts, forgive_missing
from ..models.data_preprocessor import MultiDomainDataPreprocessor
from ..models.decode_heads import as_levels, head_logits
from ..models.recomputation import recompute_blocks
from ..models.train_step import train_step
from ..visualization.columns import Classes, Columns, Images

# the optimiser wrapper of the network, where others stand beside it
NETWORK = 'network'
# the prefix of every name of a tensor
ALL_PARTS = ('',)
# what to do about a checkpoint that lacks something
FITTING = (
    'give one of the same backbone and heads, of a stage that has them, and not stripped if it is '
    'to be trained'
)
RESUMABLE = 'resume from iter_*.pth, not from best_*.pth or a stripped checkpoint'


class PublishedFigures(NamedTuple):
    """What the authors of a method published of a setting.

    Attributes:
        setting (str): Its name, such as 'g2ci_19'.
        iterations (int): Length of the authors' training.
        mean (float): mIoU in percent, mean over the targets.
        per_domain (dict[str, dict]): By target ``mIoU`` in percent, and ``IoU`` by class if it was
            published.
        curve (dict[int, dict[str, float]]): Validations by iteration, mIoU in percent by target
            and 'mean'; empty if none were published.
    """

    setting: str
    iterations: int
    mean: float
    per_domain: dict[str, dict]
    curve: dict[int, dict[str, float]]


class DomainSegmentor(EncoderDecoder):
    """:class:`mmseg.models.EncoderDecoder`, evaluated at the size of the loaded label.

    A method is a subclass with a ``loss``. All else that the project asks of it has a default here.
    Names of tensors are told apart by how they begin ("parts").

    Args:
        *args: Arguments of :class:`mmseg.models.EncoderDecoder`.
        global_batch (bool): Whether thresholds, masks and normalisers of the losses are those of
            the whole batch where processes share it; False: those of each process.
        channels_last (bool): Whether weights and images are stored in channels-last format, which
            is faster for convolutions.
        recompute_activations (bool): Whether the backward pass recomputes what is inside the
            backbone's blocks instead of keeping it: less memory for a second forward pass.
        **kwargs: Arguments of :class:`mmseg.models.EncoderDecoder`.
    """

    # the folder and the prefix of log entries of a stage that trains with this method; if empty,
    # the name of the class in snake case
    stage_name: str = ''
    # tensors that prediction needs: every checkpoint has to hold them
    deployed_parts: tuple[str, ...] = ('backbone.', 'neck.', 'decode_head.')
    # tensors that are taken over from the checkpoint that a training starts from
    starting_parts: tuple[str, ...] = ('backbone.', 'neck.')
    # tensors that only training needs: a checkpoint may lack all of them
    training_parts: tuple[str, ...] = ()
    # tensors that only a resumed training needs: checkpoints without optimiser state omit them
    resume_parts: tuple[str, ...] = ()
    # child modules that the network's optimiser leaves to another one of that name
    separate_optimisers: tuple[str, ...] = ()
    # names of the target domains, in the order of the data set; None: all of them are ignored
    targets: list[str] | None = None
    # whether the last training step's loss was finite, and so the step was taken
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
        self.required_parts: Sequence[str] = self.deployed_parts
        self.register_load_state_dict_post_hook(partial(forgive_missing, parts=self.training_parts))
        if recompute_activations:
            recompute_blocks(self.backbone)

    # Training

    @property
    def turns(self) -> Sequence[str | None]:
        """The parts of the loss that have a backward pass of their own; None is the whole."""
        return (None,)

    def loss(self, inputs: dict, data_samples: None = None) -> dict[str, Tensor]:
        """The losses of one step.

        Args:
            inputs (dict): A batch of :class:`MultiDomainDataPreprocessor`; with ``turn``, one of
                :attr:`turns`, that part of the loss alone.
            data_samples (None): Not used.

        Returns:
            dict[str, Tensor]: Scalars by name, ``<stage_name>/<figure>``. Those with 'loss' in
            their name are added up and trained, all are logged.
        """
        raise NotImplementedError

    def train_step(
        self, data: dict, optim_wrapper: OptimWrapper | OptimWrapperDict
    ) -> dict[str, Tensor]:
        """One step of the network, see :func:`mlcl_mmseg.models.train_step.train_step`."""
        return train_step(self, data, network_wrapper(optim_wrapper), self.turns)

    # Networks

    def extract_feat(self, inputs: Tensor) -> Sequence[Tensor]:
        """Features of the backbone, or of its neck.

        Args:
            inputs (Tensor): (B, 3, H, W) RGB from 0 to 1; the data preprocessor's mean and
                standard deviation are applied here, so that everything before works on colours.

        Returns:
            Sequence[Tensor]: (B, C, h, w) of each level.
        """
        with record_function('backbone'):
            if isinstance(self.data_preprocessor, MultiDomainDataPreprocessor):
                inputs = self.data_preprocessor.normalise(inputs)
            features = self.backbone(inputs.contiguous(memory_format=self.memory_format))
            return as_levels(self.neck(as_levels(features)) if self.with_neck else features)

    def extract_passes(self, images: Sequence[Tensor]) -> list[Sequence[Tensor]]:
        """Features of several batches, each with batch statistics of its own (method.md §4).

        All are computed as one batch where no layer uses the statistics of a batch.

        Args:
            images (Sequence[Tensor]): (B, 3, H, W) each, of one size.

        Returns:
            list[Sequence[Tensor]]: For each batch what :meth:`extract_feat` returns.
        """
        parts = [self.backbone, self.neck] if self.with_neck else [self.backbone]
        modules = (module for part in parts for module in part.modules())
        if any(isinstance(module, _BatchNorm) and module.training for module in modules):
            return [self.extract_feat(each) for each in images]
        levels = self.extract_feat(torch.cat(list(images)))
        return list(zip(*(level.chunk(len(images)) for level in levels)))

    def predict(self, inputs: Tensor, data_samples: list | None = None) -> list:
        """Predict at the size of the label where there is one, else at the image's own size.

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

    # Checkpoints

    def require(self, parts: Sequence[str]) -> None:
        """From now on, refuse a checkpoint that lacks a tensor of these parts.

        Prediction requires :attr:`deployed_parts`, which is the default; a training requires
        :attr:`starting_parts` when it starts and everything when it is resumed.

        Args:
            parts (Sequence[str]): Prefixes of names of tensors.
        """
        self.required_parts = tuple(parts)

    def check_checkpoint(self, state_dict: dict[str, Tensor]) -> None:
        """Refuse a checkpoint of another method, number of classes or shape.

        Args:
            state_dict (dict[str, Tensor]): Its tensors by name.

        Raises:
            InputError: If it does not fit.
        """
        check_num_classes(state_dict, self.num_classes)
        remedy = FITTING if self.required_parts != ALL_PARTS else RESUMABLE
        check_parts(self, state_dict, self.required_parts, remedy)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        """Check a checkpoint before it is loaded; MMEngine would only log what is missing."""
        self.check_checkpoint(
            {name.removeprefix(prefix): value for name, value in state_dict.items()}
        )
        super()._load_from_state_dict(state_dict, prefix, *args)

    # What people see

    def source_columns(self, inputs: dict) -> Columns:
        """Pictures of the source's part of a batch, in columns.

        Args:
            inputs (dict): A batch as for :meth:`loss`.
        """
        source = inputs['source']
        return {
            'image': Images(source['img']),
            'label': Classes(source['img'], source['label']),
        }

    def target_columns(self, inputs: dict, index: int) -> Columns:
        """Pictures of a target's part of a batch, in columns.

        Args:
            inputs (dict): A batch as for :meth:`loss`.
            index (int): Index of the target.
        """
        return {'weak view': Images(inputs['targets'][index]['img'])}

    def validation_columns(self, images: Tensor, domain: str) -> Columns:
        """Pictures beside image, prediction and label of a validation image, in columns.

        Args:
            images (Tensor): (B, 3, H, W) RGB from 0 to 1, in eval mode.
            domain (str): Name of the images' domain.
        """
        return {}

    @classmethod
    def published_figures(cls, config: Config) -> PublishedFigures | None:
        """The figures that a method's authors published of a config's setting, if they did."""
        return None

    def measured_operations(self, inputs: dict) -> dict[str, Callable[[], Any]]:
        """Operations of a step that the benchmark can time alone, by name.

        Args:
            inputs (dict): A batch as for :meth:`loss`.
        """
        return {}


class MultiTargetSegmentor(DomainSegmentor):
    """A backbone with one decode head per target domain.

    Training takes the batches of :class:`MultiDomainDataset`; inference is that of
    :class:`DomainSegmentor`.

    Args:
        targets (list[str]): Names of the target domains, in the order of the data set's targets.
        backbone (dict): Config of the backbone.
        decode_head (dict): Config of every classifier: any decode head of MMSegmentation.
        **kwargs: Arguments of :class:`DomainSegmentor`.

    Raises:
        InputError: If there is no target, one is named twice, or a name contains 'loss'.
    """

    # tensors that make soft pseudo-labels
    labelling_parts: tuple[str, ...] = ('backbone.', 'neck.', 'domain_heads.')
    # labels the targets in the step instead of stored pseudo-labels, if a hook has set it
    teacher: Callable[[Tensor, int], Tensor] | None = None
    targets: list[str]

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

    @torch.no_grad()
    def soft_pseudo_label(self, inputs: Tensor, target: int) -> Tensor:
        """Class probabilities at feature resolution from a target's own head.

        Args:
            inputs (Tensor): (B, 3, H, W) images of that target.
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
        """The pixels that the method trusts, as hard labels; here all of them.

        Args:
            soft (Tensor): (B, C, h, w) class probabilities of one target.
            size (Sequence[int]): (h', w') of the result.
            global_batch (bool): Whether all processes select together.

        Returns:
            Tensor: (B, h', w') int64 class indices, 255 = not trusted.
        """
        if soft.shape[2:] != tuple(size):
            soft = torch.nn.functional.interpolate(
                soft, tuple(size), mode='bilinear', align_corners=self.align_corners
            )
        return soft.argmax(dim=1)

    def check_checkpoint(self, state_dict: dict[str, Tensor]) -> None:
        """Also refuse a checkpoint with another number of domain heads."""
        heads = {name.split('.')[1] for name in state_dict if name.startswith('domain_heads.')}
        if heads and len(heads) != self.num_targets:
            raise InputError(
                f'The checkpoint has {len(heads)} domain heads, but model.targets names '
                f'{self.num_targets} domains ({", ".join(self.targets)}): use the checkpoint of '
                'the same setting.'
            )
        super().check_checkpoint(state_dict)


def segmentor_of(runner: Runner) -> Any:
    """The segmentor that a runner trains, without its distributed wrapper."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def network_wrapper(optim_wrapper: OptimWrapper | OptimWrapperDict) -> OptimWrapper:
    """The optimiser wrapper of the network, where others may stand beside it."""
    is_dict = isinstance(optim_wrapper, OptimWrapperDict)
    return optim_wrapper[NETWORK] if is_dict else optim_wrapper


def segmentor_class(config: Config) -> type[DomainSegmentor]:
    """The method of a config's model; one of MMSegmentation's own has the contract's defaults."""
    found = MODELS.get(config.model.type)
    return (
        found if isinstance(found, type) and issubclass(found, DomainSegmentor) else DomainSegmentor
    )
