"""Discriminators of the warm-up: source or target, from a self-information map (method.md §3)."""

from collections.abc import Sequence

from mmengine.model import BaseModule, ModuleList
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class DomainDiscriminator(BaseModule):
    """Four 3×3/2 convolutions and a 1×1 classifier to one logit a place.

    Args:
        num_classes (int): Channels of the self-information map.
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
        """(B, C, H, W) to logits (B, 1, ⌈H/16⌉, ⌈W/16⌉); positive means target."""
        hidden = self.relu(self.conv1(self_information))
        hidden = self.relu(self.conv2(hidden))
        hidden = self.relu(self.conv3(hidden))
        return self.classifier(self.leaky_relu(self.conv4(hidden)))


class DiscriminatorBank(ModuleList):
    """One discriminator per target; callable, so that it can learn by itself under DDP."""

    def forward(
        self, source_maps: Sequence[Tensor], target_maps: Sequence[Tensor]
    ) -> list[tuple[Tensor, Tensor]]:
        """Logits of each discriminator for its source map and its target map."""
        return [
            (discriminator(source_map), discriminator(target_map))
            for discriminator, source_map, target_map in zip(self, source_maps, target_maps)
        ]
