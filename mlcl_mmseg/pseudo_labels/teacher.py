"""A frozen network that labels target images in each step (method.md §4)."""

import copy
from typing import Any

from torch import Tensor


class Teacher:
    """A copy in eval mode of the parts of a segmentor that predict soft pseudo-labels.

    The class is not a module, so that a segmentor with a teacher does not train, wrap or save it.

    Args:
        segmentor (MultiTargetSegmentor): The network in its current state. Child modules that its
            ``labelling_parts`` do not name are not part of the copy.
    """

    def __init__(self, segmentor: Any) -> None:
        self.network = copy.deepcopy(segmentor).eval().requires_grad_(False)
        for name, _ in list(self.network.named_children()):
            if name != 'data_preprocessor' and f'{name}.' not in segmentor.labelling_parts:
                delattr(self.network, name)

    def __call__(self, image: Tensor, target: int) -> Tensor:
        """Predict class probabilities at feature resolution.

        Args:
            image (Tensor): (B, 3, H, W) images of that target, RGB from 0 to 1.
            target (int): Index of the target.

        Returns:
            Tensor: (B, C, h, w) float32.
        """
        return self.network.soft_pseudo_label(image, target)
