"""When what labels the targets is made and made anew (method.md §4)."""

from mmengine.dist import barrier
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner, load_checkpoint

from ...errors import InputError
from ...methods.base import segmentor_of
from ..runner_access import is_resuming, is_training, starting_checkpoint


class RefreshHook(Hook):
    """The initial network labels the targets at first, the best checkpoint from each refresh on.

    A refresh comes every ``interval`` iterations, except at the last, right after the validation of
    that iteration. The best checkpoint so far is loaded into the network, while the optimiser keeps
    its state. A subclass defines what then labels the targets: :meth:`refresh` and :meth:`restore`.

    Args:
        interval (int): Iterations between refreshes; a multiple of the validation interval.
    """

    # after CheckpointHook, whose best checkpoint it takes, and before ResumeHook
    priority = 95

    def __init__(self, interval: int = 10000) -> None:
        self.interval = interval

    def refresh(self, runner: Runner, checkpoint: str) -> None:
        """Let the network as it is now, which comes from ``checkpoint``, label the targets."""
        raise NotImplementedError

    def restore(self, runner: Runner) -> None:
        """Let the targets be labelled as they were when the run was interrupted."""
        raise NotImplementedError

    def before_run(self, runner: Runner) -> None:
        """Check the schedule of a training before anything is computed.

        Raises:
            InputError: If a refresh would find no validation or no best checkpoint, or there is no
                stage before whose network could label the targets.
        """
        if not is_training(runner):
            return
        loop = runner.train_loop
        first = max(loop.val_interval, loop.val_begin)
        if runner.val_loop is None or self.interval % loop.val_interval or self.interval < first:
            raise InputError(
                f'{type(self).__name__}.interval is {self.interval}, but a refresh follows a '
                f'validation: make it a multiple of train_cfg.val_interval ({loop.val_interval}), '
                f'not below val_begin ({loop.val_begin}), and validate.'
            )
        if not any(isinstance(hook, CheckpointHook) and hook.save_best for hook in runner.hooks):
            raise InputError(
                f'{type(self).__name__} refreshes with the best checkpoint, but none is kept: set '
                "default_hooks.checkpoint.save_best='mIoU'."
            )
        if starting_checkpoint(runner) is None and not is_resuming(runner):
            raise InputError(
                f'{type(segmentor_of(runner)).__name__} starts from the stage before, but '
                "load_from is not set: name the config of that stage as stage_before='FILE.py', or "
                'pass --cfg-options load_from=CHECKPOINT.'
            )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse to start or resume from a checkpoint of another setting.

        Raises:
            InputError: If the checkpoint names another source or other targets.
        """
        if not is_training(runner):
            return
        found = checkpoint.get('meta', {}).get('dataset_meta', {})
        expected = runner.train_loop.dataloader.dataset.metainfo
        for key in ('source', 'targets'):
            if key in found and found[key] != expected[key]:
                raise InputError(
                    f'The checkpoint was trained with {key} {found[key]}, but this run has '
                    f'{expected[key]}: use the checkpoint of the same setting.'
                )

    def before_train(self, runner: Runner) -> None:
        """Begin with the initial network, or continue with what was in use.

        At a refresh there is nothing to do: ResumeHook repeats the validation, and with it the
        refresh.
        """
        if runner.iter == 0:
            self.refresh(runner, str(starting_checkpoint(runner)))
        elif runner.iter < runner.max_iters and not self.is_due(runner):
            self.restore(runner)

    def is_due(self, runner: Runner) -> bool:
        """Whether a refresh comes after the iterations done so far."""
        return 0 < runner.iter < runner.max_iters and runner.iter % self.interval == 0

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Refresh if it is due."""
        if not self.is_due(runner):
            return
        barrier()
        best = runner.message_hub.get_info('best_ckpt')
        runner.logger.info(f'Pseudo-label refresh with {best}.')
        segmentor = segmentor_of(runner)
        segmentor.require(segmentor.labelling_parts)
        load_checkpoint(segmentor, best, map_location='cpu', strict=True)
        self.refresh(runner, best)
