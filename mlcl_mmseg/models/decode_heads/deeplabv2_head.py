"""The decode head that every classifier uses (method.md §1)."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn


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
        align_corners: bool = True,
        loss_decode: dict = dict(type='CrossEntropyLoss', avg_non_ignore=True),  # noqa: B006
        init_cfg: dict | None = None,
        **kwargs,
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
        branch = dict(in_channels=in_channels, out_channels=channels, bias=True, norm_cfg=norm_cfg)
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
        features = self._transform_inputs(inputs)
        features = torch.cat([branch(features) for branch in self.branches], dim=1)
        return self.cls_seg(self.bottleneck(self.squeeze_excitation(features)))
