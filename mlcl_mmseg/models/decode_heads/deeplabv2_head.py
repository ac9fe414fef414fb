"""The decode head of all classifiers (method.md §1)."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import ModuleList
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..losses import full_precision
from .dilated_convolution import concatenated, dilated_convolution

# MMSegmentation warns that it recommends other sizes than the paper's
warnings.filterwarnings('ignore', 'When align_corners=True')


class SqueezeExcitation(nn.Module):
    """Weight each channel by a function of the global average of all channels.

    Args:
        channels (int): Number of channels.
        ratio (int): Factor by which the hidden layer has fewer channels.
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
        """Weight the channels of features (B, C, h, w)."""
        return features * self.excite(features.mean(dim=(2, 3)))[:, :, None, None]


@MODELS.register_module()
class DeepLabV2Head(BaseDecodeHead):
    """Parallel dilated branches, followed by squeeze-and-excitation, bottleneck and classifier.

    The branches are a 1×1 convolution and one 3×3 convolution per dilation, each with bias, group
    norm and ReLU. Their concatenation is weighted by squeeze-and-excitation and then passed through
    a 3×3 convolution with bias, group norm without activation, dropout, and a 1×1 classifier
    without bias.

    Args:
        in_channels (int): Number of channels of the features.
        num_classes (int): Number of classes.
        channels (int): Number of output channels of each branch and of the bottleneck.
        dilations (Sequence[int]): Dilations of the 3×3 branches.
        dropout_ratio (float): Dropout rate of the channels before the classifier.
        norm_cfg (dict): Config of the norms; by default group norm with 32 groups.
        window_share (float, optional): See :func:`dilated_convolution`. With 0, PyTorch's
            convolution is always used.
        align_corners (bool): Whether logits are resized with aligned corners.
        loss_decode (dict): Config of the loss if the head is part of an ordinary segmentor of
            MMSegmentation.
        init_cfg (dict, optional): Initialisation config of :class:`mmengine.model.BaseModule`.
        **kwargs: Keyword arguments of
            :class:`mmseg.models.decode_heads.decode_head.BaseDecodeHead`.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        channels: int = 256,
        dilations: Sequence[int] = (6, 12, 18, 24),
        dropout_ratio: float = 0.1,
        norm_cfg: dict = dict(type='GN', num_groups=32),  # noqa: B006
        window_share: float | None = None,
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
        self.branches = ModuleList([ConvModule(kernel_size=1, **branch)])
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
        """Initialise the weights as in MCL (method.md §1).

        Convolution weights are drawn from N(0, 0.01²), norms have weight 1 and bias 0, and the
        bottleneck's bias is 0. All others have PyTorch's default initialisation.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # mmcv's ConvModule has set the bias to 0: restore PyTorch's default
                module.reset_parameters()
                nn.init.normal_(module.weight, std=0.01)
            elif isinstance(module, nn.GroupNorm):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.zeros_(self.bottleneck.conv.bias)
        self._is_init = True

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Map the features of the stages (B, C, h, w) to logits (B, classes, h, w)."""
        (maps,) = branch_maps(self, [self.branch_weights()], self._transform_inputs(inputs))
        return self.logits(maps)

    def branch_weights(self) -> list[Tensor]:
        """Return the weights of each branch, (channels, in_channels, k, k)."""
        return [branch.conv.weight for branch in self.branches]

    def branch_weights_of_places(self, places: int) -> list[list[Tensor]]:
        """Split the weights of each branch by equal shares of the input channels.

        Args:
            places (int): Number of shares.

        Returns:
            list[list[Tensor]]: For each share, the weights of each branch.
        """
        # one split for all places: the gradient of a single slice is a tensor of the whole size
        shares = [weight.chunk(places, dim=1) for weight in self.branch_weights()]
        return [list(weights) for weights in zip(*shares)]

    def logits(self, maps: Sequence[Tensor]) -> Tensor:
        """Apply all layers after the convolutions of the branches.

        Args:
            maps (Sequence[Tensor]): The result of :func:`branch_maps` for this head. For a head on
                several concatenated features, the sum of the results.

        Returns:
            Tensor: (B, classes, h, w) logits.
        """
        norms = [branch.norm for branch in self.branches]
        if all(type(norm) is nn.GroupNorm and norm.affine for norm in norms):
            features = self.finish_branches(torch.cat(list(maps), dim=1), norms)
        else:
            features = torch.cat([*map(finish_branch, self.branches, maps)], dim=1)
        return self.cls_seg(self.bottleneck(self.squeeze_excitation(features)))

    def finish_branches(self, maps: Tensor, norms: Sequence[nn.GroupNorm]) -> Tensor:
        """Apply bias, norm and activation of all branches together.

        The groups of all branches are the groups of their concatenation.

        Args:
            maps (Tensor): (B, branches · channels, h, w), the convolutions' results.
            norms (Sequence[nn.GroupNorm]): The norms of the branches.

        Returns:
            Tensor: Features of the same shape.
        """
        bias = torch.cat([branch.conv.bias for branch in self.branches])
        groups = sum(norm.num_groups for norm in norms)
        weight = torch.cat([norm.weight for norm in norms])
        offset = torch.cat([norm.bias for norm in norms])
        maps = maps + bias.to(maps.dtype)[:, None, None]
        maps = F.group_norm(maps, groups, weight, offset, norms[0].eps)
        return self.branches[0].activate(maps)

    def predict_by_feat(self, seg_logits: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Resize logits to the image size, (B, classes, H, W), in full precision."""
        seg_logits = full_precision(seg_logits)
        # argmax over classes is faster if the classes of a pixel are adjacent in memory
        seg_logits = seg_logits.contiguous(memory_format=torch.channels_last)
        return super().predict_by_feat(seg_logits, batch_img_metas)


def finish_branch(branch: ConvModule, product: Tensor) -> Tensor:
    """Apply bias, norm and activation of a branch to its convolution's result (B, C, h, w)."""
    bias = branch.conv.bias.to(product.dtype)
    return branch.activate(branch.norm(product + bias[:, None, None]))


def branch_maps(
    head: DeepLabV2Head, weights: Sequence[Sequence[Tensor]], features: Tensor
) -> list[list[Tensor]]:
    """Compute the branches of several heads on the same input, with one convolution per branch.

    Args:
        head (DeepLabV2Head): Any of the heads, which have the same dilations.
        weights (Sequence[Sequence[Tensor]]): For each head, the weights of each branch, (O, C, k,
            k).
        features (Tensor): (B, C, h, w), the input of every head.

    Returns:
        list[list[Tensor]]: For each head, the result of each branch without bias, (B, O, h, w).
    """
    widths = [len(own[0]) for own in weights]
    first, *others = zip(*weights)
    joint = [F.conv2d(features, concatenated(first))]
    # under autocast, the dtype in which convolutions are computed
    features = features.to(joint[0].dtype)
    for own, dilation in zip(others, head.dilations):
        joint.append(dilated_convolution(features, own, dilation, head.window_share))
    return [list(maps) for maps in zip(*(each.split(widths, dim=1) for each in joint))]
