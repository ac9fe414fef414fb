"""The same buffers in every process for validation."""

from mmengine.dist import broadcast
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ...methods.base import segmentor_of


@HOOKS.register_module()
class BroadcastBuffersHook(Hook):
    """Broadcast the buffers of the main process to all processes before a validation.

    In training, each process has its own running statistics of batch norm, and checkpoints contain
    those of the main process. With this hook, validation evaluates the network that is saved.
    """

    priority = 'VERY_HIGH'

    def before_val_epoch(self, runner: Runner) -> None:
        """Broadcast the buffers; in a single process this does nothing."""
        for buffer in segmentor_of(runner).buffers():
            broadcast(buffer, src=0)
