"""Parts of resuming a training that MMEngine omits."""

from pathlib import Path

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ..runner_access import is_resuming


@HOOKS.register_module()
class ResumeHook(Hook):
    """Restore the path of the best checkpoint, and repeat the validation of the resumed iteration.

    A checkpoint is written before its iteration is validated. The validation is therefore always
    repeated after a resume, also at the last iteration, together with everything that follows a
    validation.
    """

    # after PseudoLabelHook
    priority = 'LOWEST'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Set the paths of earlier checkpoints to this work dir, which may have been moved."""
        if not is_resuming(runner):
            return
        runtime_info = checkpoint.get('message_hub', {}).get('runtime_info', {})
        for key in ('best_ckpt', 'last_ckpt'):
            if runtime_info.get(key) is not None:
                runtime_info[key] = str(Path(runner.work_dir, Path(runtime_info[key]).name))
        best = runtime_info.get('best_ckpt')
        if best is not None and not Path(best).is_file():
            # a later best checkpoint has replaced it, and no checkpoint after that one is left
            runner.logger.warning(
                f'{best} does not exist: the best checkpoint is determined again from here on.'
            )
            del runtime_info['best_ckpt'], runtime_info['best_score']

    def before_train(self, runner: Runner) -> None:
        """Validate the resumed iteration if the schedule validates it."""
        if runner.iter > 0 and runner.train_loop.is_validated(runner.iter):
            runner.val_loop.run()
