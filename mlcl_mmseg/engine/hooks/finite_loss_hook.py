"""Report of steps whose loss or gradient is not finite, and stop after too many of them."""

from typing import NamedTuple

import torch
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor

from ...errors import InputError
from ...methods.base import network_wrapper, segmentor_of
from ...models.train_step import AsyncBool


class Step(NamedTuple):
    """A step whose result is not yet known to the host.

    Attributes:
        iteration (int): Its number, from 1.
        is_finite (AsyncBool): Whether weights were updated.
        outputs (dict[str, Tensor]): Its figures.
        images (list[str]): The images of this process.
    """

    iteration: int
    is_finite: AsyncBool
    outputs: dict[str, Tensor]
    images: list[str]


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Log the images of each step that was skipped because its loss or gradient was not finite.

    A step is reported after the next one, so that the host does not wait for the device.

    With fp16, the dynamic loss scale begins so high that gradients overflow, and is halved after
    each step that was skipped for this. Such steps do not count while the scale is at least 1.

    Args:
        patience (int): Consecutive skipped steps after which training stops.
    """

    priority = 'VERY_HIGH'

    def __init__(self, patience: int = 10) -> None:
        self.patience = patience
        self.in_a_row = 0
        self.last: Step | None = None

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict[str, Tensor]
    ) -> None:
        """Check the step before this one.

        Raises:
            InputError: If ``patience`` consecutive steps were skipped.
        """
        self.check(runner)
        images = [
            name
            for domain in (data_batch['source'], *data_batch['targets'])
            for name in domain['img_path']
        ]
        is_finite = segmentor_of(runner).step_is_finite
        self.last = Step(runner.iter + 1, is_finite, dict(outputs), images)

    def after_train(self, runner: Runner) -> None:
        """Check the last step."""
        self.check(runner)

    def check(self, runner: Runner) -> None:
        """Report the last step if it was skipped."""
        step, self.last = self.last, None
        if step is None:
            return
        if step.is_finite:
            self.in_a_row = 0
            return
        is_loss_finite = bool(torch.isfinite(step.outputs['loss']))
        scale = dynamic_loss_scale(runner)
        if is_loss_finite and scale is not None and scale >= 1:
            runner.logger.info(
                f'Iteration {step.iteration} is skipped, a gradient overflows float16; the loss '
                f'scale is {scale:g}.'
            )
            return
        self.in_a_row += 1
        # loss and gradient are means over all processes, so that all processes reach this line
        images = [name for share in all_gather_object(step.images) for name in share]
        figures = {name: float(value) for name, value in step.outputs.items()}
        what = 'a gradient' if is_loss_finite else 'its loss'
        runner.logger.warning(
            f'Iteration {step.iteration} is skipped, {what} is not finite: {figures}. Images: '
            f'{", ".join(images)}.'
        )
        if self.in_a_row >= self.patience:
            raise InputError(
                f'The loss or a gradient was not finite in {self.in_a_row} consecutive iterations, '
                f'the last is {step.iteration}: lower the learning rate, or check the images that '
                'are named in the log.'
            )


def dynamic_loss_scale(runner: Runner) -> float | None:
    """Return the loss scale of the network, None if there is none or it is constant."""
    wrapper = network_wrapper(runner.optim_wrapper)
    scaler = getattr(wrapper, 'loss_scaler', None)
    is_constant = getattr(wrapper, '_scale_update_param', None) is not None
    return None if scaler is None or is_constant else scaler.get_scale()
