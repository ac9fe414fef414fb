"""The schedule by which the source of pseudo-labels is refreshed (method.md §4)."""

from mmengine.dist import barrier
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner, load_checkpoint

from ...errors import InputError
from ...methods.base import segmentor_of
from ..runner_access import is_resuming, is_training, starting_checkpoint


def dataset_meta(checkpoint: dict) -> dict:
    """Return the description of the data of a checkpoint; {} if it has none."""
    meta = checkpoint.get('meta')
    found = meta.get('dataset_meta') if isinstance(meta, dict) else None
    return found if isinstance(found, dict) else {}


class RefreshHook(Hook):
    """Base class of hooks that refresh pseudo-labels with the best checkpoint.

    At first, the initial network labels the targets. A refresh follows the validation at every
    ``interval`` iterations, except at the last iteration. It loads the best checkpoint so far into
    the network; the optimiser keeps its state. Subclasses define in :meth:`refresh` and
    :meth:`restore` how the targets are labelled.

    Args:
        interval (int): Iterations between refreshes; a multiple of the validation interval.
    """

    # after CheckpointHook, which saves the best checkpoint, and before ResumeHook
    priority = 95

    def __init__(self, interval: int = 10000) -> None:
        self.interval = interval

    def refresh(self, runner: Runner, checkpoint: str) -> None:
        """Label the targets with the current network, whose weights come from ``checkpoint``."""
        raise NotImplementedError

    def restore(self, runner: Runner) -> None:
        """Label the targets as in the interrupted run."""
        raise NotImplementedError

    def before_run(self, runner: Runner) -> None:
        """Check the schedule of a training before anything is computed.

        Raises:
            InputError: If a refresh would not follow a validation, no best checkpoint is saved, or
                there is no checkpoint of the previous stage to label the targets.
        """
        if not is_training(runner):
            return
        loop = runner.train_loop
        first = max(loop.val_interval, loop.val_begin)
        if runner.val_loop is None or self.interval % loop.val_interval or self.interval < first:
            raise InputError(
                f'{type(self).__name__}.interval is {self.interval}, but a refresh needs a '
                'validation at the same iteration: set it to a multiple of train_cfg.val_interval '
                f'({loop.val_interval}), not below val_begin ({loop.val_begin}), and configure a '
                'validation.'
            )
        if not any(isinstance(hook, CheckpointHook) and hook.save_best for hook in runner.hooks):
            raise InputError(
                f'{type(self).__name__} needs the best checkpoint, but it is not saved: set '
                "default_hooks.checkpoint.save_best='mIoU'."
            )
        if starting_checkpoint(runner) is None and not is_resuming(runner):
            raise InputError(
                f'{type(segmentor_of(runner)).__name__} starts from the previous stage, but '
                "load_from is not set: set stage_before='FILE.py' to the config of that stage, or "
                'pass --cfg-options load_from=CHECKPOINT.'
            )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse to start from or resume a checkpoint of another setting.

        Raises:
            InputError: If the checkpoint names another source or other targets.
        """
        if not is_training(runner):
            return
        found = dataset_meta(checkpoint)
        expected = runner.train_loop.dataloader.dataset.metainfo
        for key in ('source', 'targets'):
            if key in found and found[key] != expected[key]:
                raise InputError(
                    f'The checkpoint was trained with {key} {found[key]}, but this run has '
                    f'{expected[key]}: use the checkpoint of the same setting.'
                )

    def before_train(self, runner: Runner) -> None:
        """Label the targets with the initial network, or as in the interrupted run.

        If the run resumes at a refresh, this does nothing: ResumeHook repeats the validation, which
        includes the refresh.
        """
        if runner.iter == 0:
            self.refresh(runner, str(starting_checkpoint(runner)))
        elif runner.iter < runner.max_iters and not self.is_due(runner):
            self.restore(runner)

    def is_due(self, runner: Runner) -> bool:
        """Whether a refresh follows the current iteration."""
        return 0 < runner.iter < runner.max_iters and runner.iter % self.interval == 0

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Load the best checkpoint and refresh if it is due."""
        if not self.is_due(runner):
            return
        barrier()
        best = runner.message_hub.get_info('best_ckpt')
        runner.logger.info(f'Pseudo-label refresh with {best}.')
        segmentor = segmentor_of(runner)
        segmentor.require(segmentor.labelling_parts)
        load_checkpoint(segmentor, best, map_location='cpu', strict=True)
        self.refresh(runner, best)
