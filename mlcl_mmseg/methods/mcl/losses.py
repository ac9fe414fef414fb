"""The terms of self-training on a target (method.md §4, target pass)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ...global_batch import sum_of_shares
from ...models.losses.cross_entropy import divide_by_count
from ...models.losses.precision import full_precision


def agreement_weight(own: Tensor, others: Sequence[Tensor], gamma: float) -> Tensor:
    """Weight each pixel by the agreement of the other domains' predictions with the target's own.

    The weight is w = mean over j of exp(−γ · KL(p ‖ p_j)), where KL is summed over classes.

    Args:
        own (Tensor): (B, C, h, w) logits of the target's own head.
        others (Sequence[Tensor]): Logits of the other domains' heads, of the same shape; may be
            empty.
        gamma (float): The factor γ.

    Returns:
        Tensor: (B, h, w) from 0 to 1, without gradient; 1 everywhere if ``others`` is empty.
    """
    with torch.no_grad():
        if not others:
            return full_precision(own[:, 0]).new_ones(own[:, 0].shape)
        logs = full_precision(torch.stack(list(others))).log_softmax(dim=2)
        own = full_precision(own).softmax(dim=1).expand_as(logs)
        divergences = F.kl_div(logs, own, reduction='none').sum(dim=2)
        return torch.exp(-gamma * divergences).mean(dim=0)


def masked_mean(
    loss: Tensor, kept: Tensor, cross_sample_mask: bool, global_batch: bool = False
) -> Tensor:
    """Reduce a per-pixel loss over the kept pixels; 0 if no pixel is kept (method.md §6-Q1, Q7).

    Args:
        loss (Tensor): (..., B, h, w), 0 where a sample's own pixel is not kept.
        kept (Tensor): (B, h, w) bool.
        cross_sample_mask (bool): Whether every sample's loss is summed under every sample's mask,
            as in the authors' released code. The result is up to B times the plain masked mean.
        global_batch (bool): Whether masks and mean are computed over the batch of all processes.

    Returns:
        Tensor: (...), a scalar for a loss (B, h, w).
    """
    kept = kept.to(loss.dtype)
    if cross_sample_mask:
        masks = sum_of_shares(kept.sum(0)) if global_batch else kept.sum(0)
        total = (loss.sum(-3) * masks).sum((-2, -1))
    else:
        total = (loss * kept).sum((-3, -2, -1))
    return divide_by_count(total, kept.sum(), global_batch)


def distillation(student: Tensor, teacher: Tensor) -> Tensor:
    """KL divergence of the student's prediction from the teacher's, mean over all elements.

    Args:
        student (Tensor): (B, C, h, w) logits, which receive the gradient.
        teacher (Tensor): (B, C, h, w) logits, which receive no gradient.

    Returns:
        Tensor: A scalar, the mean divergence per pixel divided by C.
    """
    teacher = full_precision(teacher.detach()).softmax(dim=1)
    student = full_precision(student).log_softmax(dim=1)
    return F.kl_div(student, teacher, reduction='none').mean()
