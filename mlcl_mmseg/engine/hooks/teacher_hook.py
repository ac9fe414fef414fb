"""Pseudo-labels without files: a frozen teacher in the step (method.md §4)."""

from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor

from ...errors import InputError
from ...methods.base import segmentor_of
from ...pseudo_labels.teacher import Teacher
from ..runner_access import is_resuming, starting_checkpoint
from .refresh_hook import RefreshHook

# where checkpoints for resuming hold its tensors
KEY = 'teacher'


@HOOKS.register_module()
class TeacherHook(RefreshHook):
    """Instead of :class:`PseudoLabelHook`: the targets' weak views are labelled in each step.

    The teacher is a frozen copy of the initial network, and from each refresh on of the best
    checkpoint. It sees crops where stored pseudo-labels were made from whole images, and costs one
    forward pass of each target a step. The target pipeline has no ``LoadSoftPseudoLabel``.

    Checkpoints for resuming hold it; the best one, which is deployed, does not.

    Args:
        interval (int): Iterations between refreshes; a multiple of the validation interval.
    """

    def refresh(self, runner: Runner, checkpoint: str) -> None:
        """Copy the network as it is now."""
        self.saved: dict[str, Tensor] | None = None
        segmentor = segmentor_of(runner)
        # the one before is not to be copied along
        segmentor.teacher = None
        segmentor.teacher = Teacher(segmentor)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Also keep the teacher of a run that goes on."""
        super().after_load_checkpoint(runner, checkpoint)
        self.saved = checkpoint.get(KEY) if is_resuming(runner) else None

    def restore(self, runner: Runner) -> None:
        """Restore the teacher from the checkpoint that is resumed.

        Raises:
            InputError: If that holds none.
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
        """Put the teacher into what is for resuming."""
        if 'optimizer' in checkpoint:
            state = segmentor_of(runner).teacher.network.state_dict()
            checkpoint[KEY] = {name: value.cpu() for name, value in state.items()}
