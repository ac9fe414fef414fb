"""The update of the discriminators in a warm-up step (method.md §3)."""

import torch
from mmengine.dist import is_distributed
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from ...global_batch import mean_figures
from ...models.train_step import update
from ..base import segmentor_of
from .losses import SOURCE, TARGET, gan_loss


@HOOKS.register_module()
class DiscriminatorHook(Hook):
    """Train the discriminators after each step of the network (method.md §3).

    Their inputs are the self-information maps that the segmentor has stored in that step. The
    discriminators are part of the segmentor and are frozen except during this update. Their
    optimiser is ``optim_wrapper['discriminators']``. The hook logs
    ``warmup/loss_discriminator/<domain>`` and ``warmup/discriminator_accuracy/<domain>``, the
    share of positions that are classified correctly, from 0 to 1.
    """

    # runs before the hook that reads the values to log
    priority = 'HIGHEST'

    def before_train(self, runner: Runner) -> None:
        """Wrap the discriminators in DDP if there are several processes."""
        self.segmentor = segmentor_of(runner)
        self.bank = self.segmentor.discriminators
        if is_distributed():
            self.bank.requires_grad_(True)
            self.bank = DistributedDataParallel(self.bank, broadcast_buffers=False)
            self.bank.requires_grad_(False)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict[str, Tensor]
    ) -> None:
        """Update every discriminator once."""
        optim_wrapper = runner.optim_wrapper['discriminators']
        self.bank.requires_grad_(True)
        with optim_wrapper.optim_context(self.bank):
            logits = self.bank(*self.segmentor.self_information_maps)
            losses = [
                gan_loss(source, SOURCE, self.segmentor.gan)
                + gan_loss(target, TARGET, self.segmentor.gan)
                for source, target in logits
            ]
        figures = {}
        for domain, loss, (source, target) in zip(self.segmentor.targets, losses, logits):
            figures[f'warmup/loss_discriminator/{domain}'] = loss.detach()
            figures[f'warmup/discriminator_accuracy/{domain}'] = accuracy(
                source, target, self.segmentor.gan
            )
        figures = mean_figures(figures)
        total = sum(losses)
        is_finite = torch.isfinite(torch.stack([*figures.values()]).sum())
        optim_wrapper.backward(optim_wrapper.scale_loss(total))
        # discriminators skip the steps that the network skips
        update(optim_wrapper, is_finite & self.segmentor.step_is_finite.on_device)
        optim_wrapper.zero_grad()
        self.bank.requires_grad_(False)
        self.segmentor.self_information_maps = None
        outputs.update(figures)


@torch.no_grad()
def accuracy(source: Tensor, target: Tensor, gan: str) -> Tensor:
    """Share of positions that a discriminator classifies correctly.

    Args:
        source (Tensor): (B, 1, h, w) logits of source maps.
        target (Tensor): (B, 1, h, w) logits of target maps.
        gan (str): 'vanilla' or 'LS', see :func:`gan_loss`.

    Returns:
        Tensor: A scalar from 0 to 1.
    """
    middle = 0.5 if gan == 'LS' else 0.0
    return torch.cat([source.flatten() < middle, target.flatten() >= middle]).float().mean()
