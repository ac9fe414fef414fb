"""What MMEngine leaves out when a training goes on."""

from pathlib import Path

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ..runner_access import is_resuming


@HOOKS.register_module()
class ResumeHook(Hook):
    """Completes a resume: the best checkpoint's place, and a validation that was due.

    A checkpoint is written before its iteration is validated. The validation is therefore always
    repeated, also that of the last iteration, and with it what hangs on it.
    """

    # after PseudoLabelHook
    priority = 'LOWEST'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Look for earlier checkpoints in this work dir, wherever it was then."""
        if not is_resuming(runner):
            return
        runtime_info = checkpoint.get('message_hub', {}).get('runtime_info', {})
        for key in ('best_ckpt', 'last_ckpt'):
            if runtime_info.get(key) is not None:
                runtime_info[key] = str(Path(runner.work_dir, Path(runtime_info[key]).name))
        best = runtime_info.get('best_ckpt')
        if best is not None and not Path(best).is_file():
            # a later best one has taken its place, and the checkpoint after that is gone
            runner.logger.warning(f'{best} is gone: the best is sought anew from here.')
            del runtime_info['best_ckpt'], runtime_info['best_score']

    def before_train(self, runner: Runner) -> None:
        """Validate the iteration that is resumed, if it is one that is validated."""
        if runner.iter > 0 and runner.train_loop.is_validated(runner.iter):
            runner.val_loop.run()
