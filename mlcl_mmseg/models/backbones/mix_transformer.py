"""The encoder of SegFormer (method.md §1)."""

from typing import Any

from mmseg.models import MixVisionTransformer
from mmseg.registry import MODELS
from torch import nn

from .pretrained import PretrainedBackbone


@MODELS.register_module()
class MixTransformer(PretrainedBackbone, MixVisionTransformer):
    """mmseg's MixVisionTransformer, by default MiT-B5: four maps of 64, 128, 320, 512 channels.

    Args:
        drop_path_rate (float): Stochastic depth of the last block; 0.1 as in SegFormer.
        **kwargs: Those of :class:`mmseg.models.MixVisionTransformer`. ``init_cfg=dict(type=
            'Pretrained', checkpoint=...)`` takes a URL or a file with OpenMMLab's names.
    """

    def __init__(self, drop_path_rate: float = 0.1, **kwargs: Any) -> None:
        size = dict(embed_dims=64, num_heads=(1, 2, 5, 8), num_layers=(3, 6, 40, 3))
        super().__init__(drop_path_rate=drop_path_rate, **{**size, **kwargs})
        # as in SegFormer: 1e-6 is only that of the norms around attention and feed-forward
        for name, module in self.named_modules():
            if isinstance(module, nn.LayerNorm) and name.endswith(('.0.norm', 'attn.norm')):
                module.eps = 1e-5

    def released_updates(self, name: str) -> int:
        """How often the released optimisers update a parameter in a step (method.md §6-Q9).

        They list it once for each module that encloses it in the released encoder, where attention
        and feed-forward hold their layers directly.

        Args:
            name (str): Its name in this backbone, ``layers.<stage>.<part>...``.
        """
        patch_embedding, _, norm = '0', '1', '2'
        part = name.split('.')[2]
        if part in (patch_embedding, norm):
            return 3 if part == patch_embedding else 2
        if '.ffn.layers.1.' in name:
            # the depthwise convolution has a module of its own
            return 6
        return 5 if '.attn.' in name or '.ffn.' in name else 4
