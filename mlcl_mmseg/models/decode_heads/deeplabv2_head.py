"""The decode head that every classifier uses (method.md §1)."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..losses import full_precision
from .dilated_convolution import dilated_convolution

# MMSegmentation recommends other sizes than the paper's
warnings.filterwarnings('ignore', 'When align_corners=True')


class SqueezeExcitation(nn.Module):
    """Weigh channels by what the global average of all channels says.

    Args:
        channels (int): Number of channels.
        ratio (int): Reduction of the hidden layer.
    """

    def __init__(self, channels: int, ratio: int = 16) -> None:
        super().__init__()
        self.excite = nn.Sequential(
            nn.Linear(channels, channels // ratio),
            nn.ReLU(inplace=True),
            nn.Linear(channels // ratio, channels),
            nn.Sigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        return features * self.excite(features.mean(dim=(2, 3)))[:, :, None, None]


@MODELS.register_module()
class DeepLabV2Head(BaseDecodeHead):
    """Parallel dilated branches, squeeze-excitation, bottleneck, classifier.

    A 1×1 convolution and one 3×3 convolution per dilation, each with bias to ``channels``, group
    norm and ReLU; their concatenation is weighed by squeeze-excitation and goes through a 3×3
    convolution with bias, group norm without activation, dropout and a 1×1 classifier without
    bias.

    Args:
        in_channels (int): Channels of the features.
        num_classes (int): Number of classes.
        channels (int): Channels of each branch and of the bottleneck.
        dilations (Sequence[int]): Dilations of the 3×3 branches.
        dropout_ratio (float): Of the channels before the classifier.
        norm_cfg (dict): Group norm with 32 groups.
        window_share (float): See :func:`dilated_convolution`; 0.6 is where the ways to compute it
            meet on CPUs in float32. 0: convolutions as PyTorch has them.
        align_corners (bool): How logits are resized.
        loss_decode (dict): Loss where the head serves an ordinary segmentor of MMSegmentation.
        **kwargs: Those of :class:`mmseg.models.decode_heads.decode_head.BaseDecodeHead`.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        channels: int = 256,
        dilations: Sequence[int] = (6, 12, 18, 24),
        dropout_ratio: float = 0.1,
        norm_cfg: dict = dict(type='GN', num_groups=32),  # noqa: B006
        window_share: float = 0.6,
        align_corners: bool = True,
        loss_decode: dict = dict(type='CrossEntropyLoss', avg_non_ignore=True),  # noqa: B006
        init_cfg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            in_channels=in_channels,
            channels=channels,
            num_classes=num_classes,
            dropout_ratio=dropout_ratio,
            norm_cfg=norm_cfg,
            align_corners=align_corners,
            loss_decode=loss_decode,
            init_cfg=init_cfg,
            **kwargs,
        )
        self.dilations = tuple(dilations)
        self.window_share = window_share
        branch = dict(
            in_channels=self.in_channels, out_channels=channels, bias=True, norm_cfg=norm_cfg
        )
        self.branches = nn.ModuleList([ConvModule(kernel_size=1, **branch)])
        for dilation in dilations:
            self.branches.append(
                ConvModule(kernel_size=3, padding=dilation, dilation=dilation, **branch)
            )
        self.squeeze_excitation = SqueezeExcitation(len(self.branches) * channels)
        self.bottleneck = ConvModule(
            len(self.branches) * channels,
            channels,
            kernel_size=3,
            padding=1,
            bias=True,
            norm_cfg=norm_cfg,
            act_cfg=None,
        )
        self.conv_seg = nn.Conv2d(channels, self.out_channels, kernel_size=1, bias=False)

    def init_weights(self) -> None:
        """Convolutions N(0, 0.01), norms 1 and 0, the bottleneck's bias 0; the rest as PyTorch."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # mmcv's ConvModule has set the bias to 0: back to PyTorch's
                module.reset_parameters()
                nn.init.normal_(module.weight, std=0.01)
            elif isinstance(module, nn.GroupNorm):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.zeros_(self.bottleneck.conv.bias)
        self._is_init = True

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Features of the stages (B, C, h, w) to logits (B, classes, h, w)."""
        (maps,) = branch_maps([HeadPart(self)], self._transform_inputs(inputs))
        return self.logits(maps)

    def logits(self, maps: Sequence[Tensor]) -> Tensor:
        """What follows the branches' convolutions.

        Args:
            maps (Sequence[Tensor]): Of :func:`branch_maps`; of a head that takes several features
                as one, their sum.

        Returns:
            Tensor: (B, classes, h, w).
        """
        features = torch.cat([*map(finish_branch, self.branches, maps)], dim=1)
        return self.cls_seg(self.bottleneck(self.squeeze_excitation(features)))

    def convolution(self, branch: int) -> nn.Conv2d:
        """That of a branch."""
        module: ConvModule = self.branches[branch]
        return module.conv

    def predict_by_feat(self, seg_logits: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Enlarge logits in full precision, whatever they were computed in, (B, classes, H, W)."""
        seg_logits = full_precision(seg_logits)
        # the largest of the classes is found faster where they lie side by side
        seg_logits = seg_logits.contiguous(memory_format=torch.channels_last)
        return super().predict_by_feat(seg_logits, batch_img_metas)


def finish_branch(branch: ConvModule, product: Tensor) -> Tensor:
    """Bias, norm and activation of a branch after its convolution, (B, C, h, w)."""
    bias = branch.conv.bias.to(product.dtype)
    return branch.activate(branch.norm(product + bias[:, None, None]))


class HeadPart(NamedTuple):
    """A head, or what of its branches sees some of its input channels.

    Attributes:
        head (DeepLabV2Head): The head.
        channels (slice): Of its input.
    """

    head: DeepLabV2Head
    channels: slice = slice(None)


def branch_maps(parts: Sequence[HeadPart], features: Tensor) -> list[list[Tensor]]:
    """The branches of heads that share their input, each branch as one convolution.

    Args:
        parts (Sequence[HeadPart]): Of heads with the same dilations.
        features (Tensor): (B, C, h, w), the channels that every part sees.

    Returns:
        list[list[Tensor]]: Of each part, of each branch, (B, channels, h, w) without bias.
    """
    first = parts[0].head
    widths = [part.head.channels for part in parts]

    def weight_of(branch: int) -> Tensor:
        weights = [part.head.convolution(branch).weight[:, part.channels] for part in parts]
        return torch.cat(weights) if len(weights) > 1 else weights[0]

    joint = [F.conv2d(features, weight_of(0))]
    # under autocast, the kind that convolutions compute in
    kind = joint[0].dtype
    features = features.to(kind)
    for branch in range(1, len(first.branches)):
        weight, dilation = weight_of(branch).to(kind), first.convolution(branch).dilation[0]
        joint.append(dilated_convolution(features, weight, dilation, first.window_share))
    return [list(maps) for maps in zip(*(each.split(widths, dim=1) for each in joint))]
