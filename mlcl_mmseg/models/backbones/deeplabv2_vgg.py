"""VGG-16 as the backbone of DeepLabV2 (method.md §1)."""

from mmcv.cnn import ConvModule
from mmpretrain.models import VGG
from mmseg.registry import MODELS
from torch import Tensor, nn

from .pretrained import PretrainedBackbone

POOL4 = 23


@MODELS.register_module()
class DeepLabV2VGG(PretrainedBackbone, VGG):
    """mmpretrain's VGG-16 at output stride 8, with fc6 and fc7 as dilated convolutions.

    pool4 and pool5 are removed, and the convolutions after pool4 are dilated by 2. fc6 and fc7 are
    3×3 convolutions to 1024 channels, dilated by 4. They always have PyTorch's default
    initialisation, also if the other layers start from ImageNet weights.

    Convolutions and activations are numbered separately, as in torchvision's VGG without pool4.

    Args:
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=...)`` with a name
            (``torchvision://vgg16``), a URL or a file.
    """

    # fc6 and fc7
    fresh_parts = ('features.29.', 'features.31.')
    features: nn.Sequential

    def __init__(self, init_cfg: dict | None = None) -> None:
        super().__init__(
            depth=16, dilations=(1, 1, 1, 1, 2), with_last_pool=False, init_cfg=init_cfg
        )
        layers: list[nn.Module] = []
        for module in self.features:
            if isinstance(module, ConvModule):
                layers += [module.get_submodule('conv'), module.get_submodule('activate')]
            else:
                layers.append(module)
        del layers[POOL4]
        for in_channels in (512, 1024):
            layers += [nn.Conv2d(in_channels, 1024, 3, padding=4, dilation=4), nn.ReLU(True)]
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Map images (B, 3, H, W) to a tuple of one feature map (B, 1024, ⌊H/8⌋, ⌊W/8⌋)."""
        return (self.features(x),)

    def released_updates(self, name: str) -> int:
        """Number of updates of a parameter per step in the authors' code (method.md §6-Q9)."""
        return 1

    def rename_pretrained(self, state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        """Rename the tensors of torchvision's VGG: layers after pool4 have a number less by 1."""
        renamed = {}
        for name, value in state_dict.items():
            part, _, rest = name.partition('.')
            number, _, tensor = rest.partition('.')
            if part == 'features':
                renamed[f'features.{int(number) - (int(number) > POOL4)}.{tensor}'] = value
        return renamed
