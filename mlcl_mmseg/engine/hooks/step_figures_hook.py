"""Logged values of many steps, which are copied from the device together."""

import torch
from mmengine.hooks import CheckpointHook, LoggerHook, RuntimeInfoHook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor


@HOOKS.register_module()
class StepFiguresHook(RuntimeInfoHook):
    """:class:`mmengine.hooks.RuntimeInfoHook` that reads logged values only when they are needed.

    MMEngine's hook reads each value after each step, and each time the host waits for the device.
    Here, the values stay on the device until the next log entry, checkpoint or validation.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.figures: list[Tensor] = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict[str, Tensor]
    ) -> None:
        """Store the values of a step, which are scalars on the same device."""
        if [*outputs] != self.names:
            self.read(runner)
            self.names = [*outputs]
        self.figures.append(torch.stack([value.detach().double() for value in outputs.values()]))
        if self.is_due(runner, batch_idx):
            self.read(runner)

    def is_due(self, runner: Runner, batch_idx: int) -> bool:
        """Whether another hook may need the values after this step."""
        intervals = [
            hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook | CheckpointHook)
        ]
        return (
            any(interval > 0 and (batch_idx + 1) % interval == 0 for interval in intervals)
            or batch_idx + 1 in (runner.max_iters, len(runner.train_dataloader))
            or runner.train_loop.is_validated(batch_idx + 1)
        )

    def read(self, runner: Runner) -> None:
        """Copy all stored values to the history of the logs."""
        if self.figures:
            for values in torch.stack(self.figures).tolist():
                for name, value in zip(self.names, values):
                    runner.message_hub.update_scalar(f'train/{name}', value)
        self.figures = []
