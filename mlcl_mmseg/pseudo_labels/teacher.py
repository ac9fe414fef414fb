"""A frozen network that labels target images in the step (method.md §4)."""

import copy
from typing import Any

from torch import Tensor


class Teacher:
    """A copy, in eval mode, of what makes a segmentor's soft pseudo-labels.

    It is not a module: the segmentor that has it neither trains, wraps nor saves it.

    Args:
        segmentor (MultiTargetSegmentor): The network as it is now. Children that its
            ``labelling_parts`` do not name are left out of the copy.
    """

    def __init__(self, segmentor: Any) -> None:
        self.network = copy.deepcopy(segmentor).eval().requires_grad_(False)
        for name, _ in list(self.network.named_children()):
            if name != 'data_preprocessor' and f'{name}.' not in segmentor.labelling_parts:
                delattr(self.network, name)

    def __call__(self, image: Tensor, target: int) -> Tensor:
        """Class probabilities at feature resolution, (B, C, h, w) float32.

        Args:
            image (Tensor): (B, 3, H, W) RGB from 0 to 1, of that target.
            target (int): Index of the target.
        """
        return self.network.soft_pseudo_label(image, target)
