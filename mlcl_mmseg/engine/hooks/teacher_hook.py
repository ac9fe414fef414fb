"""Pseudo-labels without files, from a frozen teacher in each step (method.md §4)."""

from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor

from ...errors import InputError
from ...methods.base import segmentor_of
from ...pseudo_labels.teacher import Teacher
from ..runner_access import is_resuming, starting_checkpoint
from .refresh_hook import RefreshHook

# key of the teacher's tensors in checkpoints for resuming
KEY = 'teacher'


@HOOKS.register_module()
class TeacherHook(RefreshHook):
    """Label the targets' weak views in each step, as an alternative to :class:`PseudoLabelHook`.

    The teacher is a frozen copy of the initial network, and after each refresh of the best
    checkpoint. It labels crops, whereas stored pseudo-labels are made from whole images, and needs
    one forward pass per target and step. The target pipeline must not contain
    ``LoadSoftPseudoLabel``.

    Checkpoints for resuming contain the teacher. The best checkpoint, which is deployed, does not.

    Args:
        interval (int): Iterations between refreshes; a multiple of the validation interval.
    """

    def refresh(self, runner: Runner, checkpoint: str) -> None:
        """Replace the teacher by a copy of the current network."""
        self.saved: dict[str, Tensor] | None = None
        segmentor = segmentor_of(runner)
        # otherwise the copy would include the old teacher
        segmentor.teacher = None
        segmentor.teacher = Teacher(segmentor)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check the checkpoint's setting, and keep its teacher if the run is resumed."""
        super().after_load_checkpoint(runner, checkpoint)
        self.saved = checkpoint.get(KEY) if is_resuming(runner) else None

    def restore(self, runner: Runner) -> None:
        """Restore the teacher from the checkpoint that is resumed.

        Raises:
            InputError: If the checkpoint has no teacher.
        """
        saved = self.saved
        if saved is None:
            raise InputError(
                'The checkpoint has no teacher, so this run cannot be resumed from it: resume '
                'from iter_*.pth, not from best_*.pth.'
            )
        self.refresh(runner, str(starting_checkpoint(runner)))
        segmentor_of(runner).teacher.network.load_state_dict(saved)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the teacher to checkpoints for resuming."""
        if 'optimizer' in checkpoint:
            state = segmentor_of(runner).teacher.network.state_dict()
            checkpoint[KEY] = {name: value.cpu() for name, value in state.items()}
