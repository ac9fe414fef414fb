"""Access to private attributes of MMEngine's Runner, which no other module reads."""

from mmengine.runner import BaseLoop, Runner


def starting_checkpoint(runner: Runner) -> str | None:
    """Return the checkpoint that ``load_from`` names, None if it is not set."""
    return runner._load_from


def is_resuming(runner: Runner) -> bool:
    """Whether the runner resumes an interrupted training, or is configured to do so."""
    return bool(runner._resume)


def is_training(runner: Runner) -> bool:
    """Whether the runner trains; a runner that only tests has not built its training loop."""
    # train_loop, the public name, would build it
    return isinstance(runner._train_loop, BaseLoop)
