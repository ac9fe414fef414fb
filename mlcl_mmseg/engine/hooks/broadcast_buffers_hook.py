"""Validate the network that is saved."""

from mmengine.dist import broadcast
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ...methods.base import segmentor_of


@HOOKS.register_module()
class BroadcastBuffersHook(Hook):
    """Gives every process the main process's buffers before a validation.

    Batch norm that trains keeps running statistics of its own in each process; the main process's
    are those that checkpoints hold.
    """

    priority = 'VERY_HIGH'

    def before_val_epoch(self, runner: Runner) -> None:
        """Broadcast the buffers; nothing happens in a single process."""
        for buffer in segmentor_of(runner).buffers():
            broadcast(buffer, src=0)
