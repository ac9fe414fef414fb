"""The backbone of DeepLabV2 (method.md §1)."""

from typing import Any

from mmpretrain.models import ResNet
from mmseg.registry import MODELS
from torch import nn

from ...errors import InputError
from .pretrained import PretrainedBackbone


@MODELS.register_module()
class DeepLabV2ResNet(PretrainedBackbone, ResNet):
    """mmpretrain's ResNet at output stride 8, with the max pooling of DeepLabV2.

    The stride of a bottleneck is in its first 1×1 convolution, the last two stages are dilated by
    2 and 4, and the max pooling rounds sizes up: the features of a 160×320 input are 21×41.
    Rounding down would evaluate published weights on a shifted grid.

    Args:
        depth (int): Depth of the ResNet; 101 in the paper.
        **kwargs: Keyword arguments of :class:`mmpretrain.models.ResNet`.
            ``init_cfg=dict(type='Pretrained', checkpoint=...)`` takes a name
            (``torchvision://resnet101``), a URL or a file.

    Raises:
        InputError: If there is no ResNet of this depth.
    """

    def __init__(self, depth: int = 101, **kwargs: Any) -> None:
        if depth not in self.arch_settings:
            raise InputError(
                f'model.backbone.depth is {depth}: set it to one of '
                f'{", ".join(map(str, self.arch_settings))}.'
            )
        super().__init__(
            depth,
            strides=(1, 2, 1, 1),
            dilations=(1, 1, 2, 4),
            out_indices=(3,),
            style='caffe',
            **kwargs,
        )
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1, ceil_mode=True)

    def released_updates(self, name: str) -> int:
        """Number of updates of a parameter per step in the authors' code (method.md §6-Q9).

        The authors' optimisers list a parameter once for each module that encloses it.

        Args:
            name (str): Name of the parameter in this backbone.
        """
        return name.count('.')
