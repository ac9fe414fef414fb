"""Discriminators of the warm-up, which classify self-information maps by domain (method.md §3)."""

from collections.abc import Sequence

from mmengine.model import BaseModule, ModuleList
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class DomainDiscriminator(BaseModule):
    """Four 3×3 convolutions of stride 2 and a 1×1 classifier with one logit per position.

    Args:
        num_classes (int): Number of channels of the self-information map.
        init_cfg (dict, optional): Initialisation config of :class:`mmengine.model.BaseModule`.
    """

    def __init__(self, num_classes: int, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.conv1 = nn.Conv2d(num_classes, 64, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(64, 128, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(128, 256, 3, stride=2, padding=1)
        self.conv4 = nn.Conv2d(256, 512, 3, stride=2, padding=1)
        self.classifier = nn.Conv2d(512, 1, 1)
        self.relu = nn.ReLU(inplace=True)
        self.leaky_relu = nn.LeakyReLU(0.2, inplace=True)

    def forward(self, self_information: Tensor) -> Tensor:
        """Map (B, C, H, W) to logits (B, 1, ⌈H/16⌉, ⌈W/16⌉); a positive logit means target."""
        hidden = self.relu(self.conv1(self_information))
        hidden = self.relu(self.conv2(hidden))
        hidden = self.relu(self.conv3(hidden))
        return self.classifier(self.leaky_relu(self.conv4(hidden)))


class DiscriminatorBank(ModuleList):
    """One discriminator per target, with a forward method so that DDP can wrap the whole list."""

    def forward(
        self, source_maps: Sequence[Tensor], target_maps: Sequence[Tensor]
    ) -> list[tuple[Tensor, Tensor]]:
        """Compute the logits of each discriminator for its source map and its target map."""
        return [
            (discriminator(source_map), discriminator(target_map))
            for discriminator, source_map, target_map in zip(self, source_maps, target_maps)
        ]
