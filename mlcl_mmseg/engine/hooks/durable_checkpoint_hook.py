"""Checkpoints that a crash cannot take away."""

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

# registers the file backend
from ... import durable_files  # noqa: F401


@HOOKS.register_module()
class DurableCheckpointHook(CheckpointHook):
    """:class:`mmengine.hooks.CheckpointHook`, in another order and whole files only.

    MMEngine writes in place and removes an old checkpoint before it writes the new one.

    Args:
        **kwargs: Those of :class:`mmengine.hooks.CheckpointHook`.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**{'backend_args': dict(backend='durable'), **kwargs})

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        with self.removals_last():
            super()._save_checkpoint_with_step(runner, step, meta)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        with self.removals_last():
            super()._save_best_checkpoint(runner, metrics)

    @contextmanager
    def removals_last(self) -> Iterator[None]:
        """Remove what is outdated when all else is done, and not at all if that fails."""
        remove, outdated = self.file_backend.remove, []
        self.file_backend.remove = outdated.append
        try:
            yield
        finally:
            self.file_backend.remove = remove
        kept = (self.last_ckpt, getattr(self, 'best_ckpt_path', None))
        for path in outdated:
            if path not in kept:
                remove(path)
