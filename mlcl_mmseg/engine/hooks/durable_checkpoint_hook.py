"""Checkpoints that survive a crash and can be read safely."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from mmseg.registry import HOOKS

# registers the file backend
from ... import durable_files  # noqa: F401
from ...errors import InputError
from ...methods.base import DomainSegmentor, segmentor_of
from ..resumed_checkpoint import keep_what_is_resumed
from ..resumed_optimizer import check_optimizers, check_schedulers
from ..runner_access import is_resuming, starting_checkpoint


@HOOKS.register_module()
class DurableCheckpointHook(CheckpointHook):
    """:class:`mmengine.hooks.CheckpointHook` with atomic writes and plain content.

    MMEngine writes checkpoints in place, and removes an old checkpoint before it writes the new
    one. Here, each file is written atomically, and old checkpoints are removed last. MMEngine also
    pickles the history of its logs together with functions, which no safe reader accepts. Here,
    this history is stored as tensors.

    Args:
        **kwargs: Keyword arguments of :class:`mmengine.hooks.CheckpointHook`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{'backend_args': dict(backend='durable'), **kwargs})

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Reduce a checkpoint to tensors, numbers, strings and their containers.

        This runs after the other hooks have added their content, such as averaged weights. A
        checkpoint without optimiser state, such as the best one, omits the tensors that only a
        resumed training needs.
        """
        for key in ('meta', 'message_hub'):
            checkpoint[key] = to_plain(checkpoint[key])
        segmentor = segmentor_of(runner)
        if not isinstance(segmentor, DomainSegmentor):
            return
        checkpoint['meta']['deployed_parts'] = list(segmentor.deployed_parts)
        if 'optimizer' not in checkpoint:
            omit(checkpoint, segmentor.resume_parts)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Let a resumed run read only what :mod:`~mlcl_mmseg.engine.resumed_checkpoint` checks.

        Raises:
            InputError: If a part of the checkpoint has another form.
        """
        if not is_resuming(runner):
            return
        path = Path(str(starting_checkpoint(runner)))
        try:
            gone, outdated = keep_what_is_resumed(checkpoint, path, Path(runner.work_dir))
            if self.save_optimizer:
                check_optimizers(checkpoint.get('optimizer'), runner.optim_wrapper)
            if self.save_param_scheduler:
                check_schedulers(checkpoint.get('param_schedulers'), runner.param_schedulers)
        except ValueError as error:
            raise InputError(
                f'{path} is not a checkpoint from which this training can be resumed ({error}): '
                'resume from iter_*.pth, not from best_*.pth or a stripped checkpoint.'
            ) from error
        for name in gone:
            # a later best checkpoint has replaced it, and no checkpoint after that one is left
            runner.logger.warning(
                f'{name} does not exist: the best checkpoint is determined again from here on.'
            )
        if is_main_process():
            # a run that was killed had no time to remove them
            for each in outdated:
                each.unlink(missing_ok=True)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        with self.removals_last():
            super()._save_checkpoint_with_step(runner, step, meta)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        with self.removals_last():
            super()._save_best_checkpoint(runner, metrics)

    @contextmanager
    def removals_last(self) -> Iterator[None]:
        """Remove outdated files at the end of the block, and none of them if it fails."""
        outdated: list[str] = []
        remove = self.file_backend.remove
        self.file_backend.remove = outdated.append
        try:
            yield
        finally:
            self.file_backend.remove = remove
        kept = (self.last_ckpt, getattr(self, 'best_ckpt_path', None))
        for path in outdated:
            if path not in kept:
                remove(path)


def omit(checkpoint: dict, parts: Sequence[str]) -> None:
    """Remove tensors whose names begin with one of these prefixes, also from averaged weights."""
    averaged = tuple(f'module.{part}' for part in parts)
    for key, prefixes in (('state_dict', tuple(parts)), ('ema_state_dict', averaged)):
        tensors = checkpoint.get(key, {})
        for name in [name for name in tensors if name.startswith(prefixes)]:
            del tensors[name]


def to_plain(value: Any) -> Any:
    """Convert NumPy scalars to Python numbers and HistoryBuffer to tensors, in any container."""
    if isinstance(value, HistoryBuffer):
        history, count = map(torch.from_numpy, map(np.ascontiguousarray, value.data))
        return dict(history=history, count=count, max_length=value.max_length)
    if isinstance(value, dict):
        return type(value)((key, to_plain(each)) for key, each in value.items())
    if isinstance(value, list | tuple):
        return type(value)(map(to_plain, value))
    return value.item() if isinstance(value, np.generic) else value
