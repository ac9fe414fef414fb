"""Report of steps whose loss is not finite, and stop of the training after too many of them."""

from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor

from ...errors import InputError
from ...methods.base import segmentor_of


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Log the images of each step that was skipped because its loss was infinite or NaN.

    Args:
        patience (int): Consecutive skipped steps after which training stops.
    """

    priority = 'VERY_HIGH'

    def __init__(self, patience: int = 10) -> None:
        self.patience = patience
        self.in_a_row = 0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict[str, Tensor]
    ) -> None:
        """Check whether the loss of a step was finite.

        Raises:
            InputError: If the last ``patience`` steps were skipped.
        """
        if segmentor_of(runner).step_is_finite:
            self.in_a_row = 0
            return
        self.in_a_row += 1
        names = [
            name
            for domain in (data_batch['source'], *data_batch['targets'])
            for name in domain['img_path']
        ]
        # the loss is the mean over all processes, so that all processes reach this line
        names = [name for share in all_gather_object(names) for name in share]
        figures = {name: float(value) for name, value in outputs.items()}
        runner.logger.warning(
            f'Iteration {runner.iter + 1} is skipped, its loss is not finite: {figures}. Images: '
            f'{", ".join(names)}.'
        )
        if self.in_a_row >= self.patience:
            raise InputError(
                f'The loss was not finite in {self.in_a_row} consecutive iterations, the last is '
                f'{runner.iter + 1}: lower the learning rate, or check the images that are named '
                'in the log.'
            )
