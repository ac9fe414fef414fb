"""The validation of a resumed iteration, which MMEngine omits."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS


@HOOKS.register_module()
class ResumeHook(Hook):
    """Repeat the validation of the resumed iteration.

    A checkpoint is written before its iteration is validated. The validation is therefore always
    repeated after a resume, also at the last iteration, together with everything that follows a
    validation.
    """

    # after PseudoLabelHook
    priority = 'LOWEST'

    def before_train(self, runner: Runner) -> None:
        """Validate the resumed iteration if the schedule validates it."""
        if runner.iter > 0 and runner.train_loop.is_validated(runner.iter):
            runner.val_loop.run()
