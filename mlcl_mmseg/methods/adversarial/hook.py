"""The discriminators' turn of the warm-up step."""

import torch
from mmengine.dist import is_distributed
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from ...global_batch import mean_figures
from ...models.train_step import AsyncBool
from ..base import segmentor_of
from .losses import SOURCE, TARGET, gan_loss


@HOOKS.register_module()
class DiscriminatorHook(Hook):
    """Trains the discriminators after each step of the network, on the maps it left (method.md §3).

    They are part of the segmentor and frozen except in this turn; their optimiser is
    ``optim_wrapper['discriminators']``. Logs ``warmup/loss_discriminator/<domain>`` and
    ``warmup/discriminator_accuracy/<domain>`` (share of places judged right, from 0 to 1).
    """

    # before the step's figures are taken
    priority = 'HIGHEST'

    def before_train(self, runner: Runner) -> None:
        """Wrap the discriminators for their own gradient reduction if there are more processes."""
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
        is_finite = AsyncBool(torch.isfinite(torch.stack([*figures.values()]).sum()))
        optim_wrapper.backward(optim_wrapper.scale_loss(total))
        # a step is skipped as a whole
        if self.segmentor.step_is_finite and is_finite:
            optim_wrapper.step()
        optim_wrapper.zero_grad()
        self.bank.requires_grad_(False)
        self.segmentor.self_information_maps = None
        outputs.update(figures)


@torch.no_grad()
def accuracy(source: Tensor, target: Tensor, gan: str) -> Tensor:
    """Share of places that a discriminator judges right; logits (B, 1, h, w) of both domains."""
    middle = 0.5 if gan == 'LS' else 0.0
    return torch.cat([source.flatten() < middle, target.flatten() >= middle]).float().mean()
