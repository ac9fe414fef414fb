"""A frozen network that labels target images in the step (method.md §4)."""

import copy

from torch import Tensor

from ..methods.base import MultiTargetSegmentor

# what makes soft pseudo-labels
TEACHER_PARTS = ('backbone', 'neck', 'domain_heads')


class Teacher:
    """A copy, in eval mode, of what makes a segmentor's soft pseudo-labels.

    It is no module: the segmentor that asks it neither trains, wraps nor saves it.

    Args:
        segmentor (MultiTargetSegmentor): The network as it is now.
    """

    def __init__(self, segmentor: MultiTargetSegmentor) -> None:
        self.network = copy.deepcopy(segmentor).eval().requires_grad_(False)
        for name, _ in list(self.network.named_children()):
            if name not in TEACHER_PARTS:
                delattr(self.network, name)

    def __call__(self, image: Tensor, target: int) -> Tensor:
        """Class probabilities at feature resolution, (B, C, h, w) float32.

        Args:
            image (Tensor): (B, 3, H, W) RGB from 0 to 1, of that target.
            target (int): Index of the target.
        """
        return self.network.soft_pseudo_label(image, target)
