"""The encoder of SegFormer (method.md §1)."""

from typing import Any

from mmseg.models import MixVisionTransformer
from mmseg.registry import MODELS
from torch import nn

from .pretrained import PretrainedBackbone


@MODELS.register_module()
class MixTransformer(PretrainedBackbone, MixVisionTransformer):
    """MMSegmentation's MixVisionTransformer, by default with the size of MiT-B5.

    MiT-B5 has four feature maps with 64, 128, 320 and 512 channels.

    Args:
        drop_path_rate (float): Drop rate of the last block for stochastic depth; 0.1 as in
            SegFormer.
        **kwargs: Keyword arguments of :class:`mmseg.models.MixVisionTransformer`.
            ``init_cfg=dict(type='Pretrained', checkpoint=...)`` takes a URL or a file whose tensors
            have OpenMMLab's names.
    """

    def __init__(self, drop_path_rate: float = 0.1, **kwargs: Any) -> None:
        size = dict(embed_dims=64, num_heads=(1, 2, 5, 8), num_layers=(3, 6, 40, 3))
        super().__init__(drop_path_rate=drop_path_rate, **{**size, **kwargs})
        # as in SegFormer, where only the norms before attention and feed-forward layers use 1e-6
        for name, module in self.named_modules():
            if isinstance(module, nn.LayerNorm) and name.endswith(('.0.norm', 'attn.norm')):
                module.eps = 1e-5

    def released_updates(self, name: str) -> int:
        """Number of updates of a parameter per step in the authors' code (method.md §6-Q9).

        The authors' optimisers list a parameter once for each module that encloses it. In their
        encoder, attention and feed-forward modules contain their layers directly.

        Args:
            name (str): Name of the parameter in this backbone, ``layers.<stage>.<part>...``.
        """
        patch_embedding, _, norm = '0', '1', '2'
        part = name.split('.')[2]
        if part in (patch_embedding, norm):
            return 3 if part == patch_embedding else 2
        if '.ffn.layers.1.' in name:
            # the depthwise convolution is enclosed by one more module
            return 6
        return 5 if '.attn.' in name or '.ffn.' in name else 4
