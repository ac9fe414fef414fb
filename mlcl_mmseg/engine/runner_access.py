"""What MMEngine's Runner knows but has no public name for: the only module that reads it."""

from mmengine.runner import BaseLoop, Runner


def starting_checkpoint(runner: Runner) -> str | None:
    """The checkpoint that ``load_from`` names, None if there is none."""
    return runner._load_from


def is_resuming(runner: Runner) -> bool:
    """Whether the runner continues an interrupted training, or is set to."""
    return bool(runner._resume)


def is_training(runner: Runner) -> bool:
    """Whether the runner trains; one that tests has built no training loop."""
    # train_loop, the public name, would build it
    return isinstance(runner._train_loop, BaseLoop)
