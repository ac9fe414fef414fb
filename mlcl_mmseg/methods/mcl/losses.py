"""The terms of self-training on a target (method.md §4, target pass)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ...global_batch import sum_of_shares
from ...models.losses.cross_entropy import divide_by_count
from ...models.losses.precision import full_precision


def agreement_weight(own: Tensor, others: Sequence[Tensor], gamma: float) -> Tensor:
    """How far the other domains' predictions agree with a target's own.

    w = mean over j of exp(−γ · KL(p ‖ p_j)), KL summed over classes.

    Args:
        own (Tensor): (B, C, h, w) logits of the target's own head.
        others (Sequence[Tensor]): Logits of the other domains, same shape; may be empty.
        gamma (float): γ.

    Returns:
        Tensor: (B, h, w) from 0 to 1, without gradient; 1 if there are no others.
    """
    with torch.no_grad():
        if not others:
            return full_precision(own[:, 0]).new_ones(own[:, 0].shape)
        own = full_precision(own).softmax(dim=1)
        logs = (full_precision(other).log_softmax(dim=1) for other in others)
        divergences = [F.kl_div(log, own, reduction='none').sum(dim=1) for log in logs]
        return torch.exp(-gamma * torch.stack(divergences)).mean(dim=0)


def masked_mean(
    loss: Tensor, kept: Tensor, cross_sample_mask: bool, global_batch: bool = False
) -> Tensor:
    """Reduce a per-pixel loss over the kept pixels; 0 if none is kept (method.md §6-Q1, Q7).

    Args:
        loss (Tensor): (B, h, w), 0 where a sample's own pixel is not kept.
        kept (Tensor): (B, h, w) bool.
        cross_sample_mask (bool): Count every sample's loss under every sample's mask, as the
            released program does: up to B times the plain masked mean.
        global_batch (bool): Whether masks and mean are those of the shares of all processes.

    Returns:
        Tensor: A scalar.
    """
    kept = kept.to(loss.dtype)
    if cross_sample_mask:
        masks = sum_of_shares(kept.sum(0)) if global_batch else kept.sum(0)
        total = (loss.sum(0) * masks).sum()
    else:
        total = (loss * kept).sum()
    return divide_by_count(total, kept.sum(), global_batch)


def distillation(student: Tensor, teacher: Tensor) -> Tensor:
    """KL divergence from the teacher's prediction to the student's, mean over all elements.

    Args:
        student (Tensor): (B, C, h, w) logits; they learn.
        teacher (Tensor): (B, C, h, w) logits; no gradient.

    Returns:
        Tensor: A scalar: the divergence per pixel divided by C.
    """
    teacher = full_precision(teacher.detach()).softmax(dim=1)
    student = full_precision(student).log_softmax(dim=1)
    return F.kl_div(student, teacher, reduction='none').mean()
