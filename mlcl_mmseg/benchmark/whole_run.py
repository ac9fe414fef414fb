"""How long a whole training takes, stage by stage, from measured times and counted images."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from mmengine.config import Config
from mmseg.registry import DATASETS

from ..engine.rehearsal import free_memory
from ..engine.stage_files import stage_name
from ..errors import InputError
from .clock import Budget, durations
from .throughput import throughput
from .training import Training, batches_of, build_segmentor, hook_of
from .whole_images import labelling, prediction

# numbers of timed batches of whole images
FEWEST, MOST = 2, 10


def validations(config: Config) -> int:
    """The number of validations of a stage."""
    if config.get('val_dataloader') is None:
        return 0
    train = config.train_cfg
    begin, interval = train.get('val_begin', 1), train.get('val_interval', 1000)
    regular = train.max_iters // interval - (begin - 1) // interval
    return regular + (train.max_iters % interval > 0)


def generations(config: Config) -> int:
    """How often a stage stores pseudo-labels of all target images."""
    hook = hook_of(config, 'PseudoLabelHook')
    if hook is None:
        return 0
    return 1 + (config.train_cfg.max_iters - 1) // hook.get('interval', 10000)


def images_of(build: Callable[[], Any]) -> int | None:
    """The number of images that a data set finds; None if its files are not on this machine."""
    try:
        return len(build())
    except InputError:
        return None


def count_images(config: Config) -> dict[str, int | None]:
    """The numbers of images of a validation, and of target images, where the files are there."""

    def target_images() -> list[int]:
        targets = DATASETS.build(config.train_dataloader.dataset).targets
        return [index for target in targets for index in range(len(target))]

    return dict(
        validated=images_of(lambda: DATASETS.build(config.val_dataloader.dataset))
        if validations(config)
        else None,
        labelled=images_of(target_images),
    )


def seconds_per_image(run: Callable[[], Any], images: int, device: str, budget: Budget) -> float:
    """Measure the time for an image of a batch, after one call for warm-up."""
    run()
    return float(durations(run, device, FEWEST, MOST, budget).mean()) / images


def network_seconds(
    config: Config, device: str, precision: str, budget: Budget
) -> dict[str, float | None]:
    """Measure the network's seconds for an image of a validation, and for one to label.

    Args:
        config (Config): The config of a stage.
        device (str): 'cpu' or 'cuda'.
        precision (str): The precision of training and validations, and of labels unless they have
            one of their own.
        budget (Budget): The time for both.

    Returns:
        dict[str, float | None]: ``validated`` and ``labelled``, which is None if nothing is stored.
    """
    found: dict[str, float | None] = dict(validated=None, labelled=None)
    if validations(config):
        run, images = prediction(config, device, precision)
        found['validated'] = seconds_per_image(run, images, device, budget.share(0.5))
    hook = hook_of(config, 'PseudoLabelHook')
    if hook is not None:
        own = hook.get('precision') or precision
        label, images = labelling(config, device, own, hook.get('batch_size', 16))
        found['labelled'] = seconds_per_image(label, images, device, budget)
    return found


def hours(iterations: int, seconds_per_step: float) -> float:
    """Hours of some steps."""
    return iterations * seconds_per_step / 3600


def stage_hours(
    config: Config,
    seconds_per_step: float,
    per_image: dict[str, float | None],
    images: dict[str, int | None],
) -> dict[str, Any]:
    """Add up the hours of a stage.

    Args:
        config (Config): The config of the stage.
        seconds_per_step (float): Measured seconds of a step.
        per_image (dict[str, float | None]): See :func:`network_seconds`.
        images (dict[str, int | None]): See :func:`count_images`.

    Returns:
        dict[str, Any]: ``stage``, ``iterations``, ``seconds_per_step``, ``steps``, ``validations``
        and ``pseudo_labels`` in hours, of which the latter two are None if they are not known, and
        ``hours``, the sum of those that are known.
    """
    iterations = config.train_cfg.max_iters
    parts: dict[str, float | None] = dict(
        steps=hours(iterations, seconds_per_step),
        validations=times(validations(config), images['validated'], per_image['validated']),
        pseudo_labels=times(generations(config), images['labelled'], per_image['labelled']),
    )
    return dict(
        stage=stage_name(config),
        iterations=iterations,
        seconds_per_step=seconds_per_step,
        **parts,
        hours=math.fsum(each for each in parts.values() if each is not None),
    )


def times(calls: int, images: int | None, seconds: float | None) -> float | None:
    """Hours of repeated passes over images; None if a factor is not known, 0 without passes."""
    if calls == 0:
        return 0.0
    return None if images is None or seconds is None else calls * images * seconds / 3600


def whole_run(
    stages: Sequence[Config],
    device: str,
    precision: str,
    measured: float | None,
    budget: Budget,
) -> list[dict[str, Any]]:
    """Estimate the hours of all stages of a training in one precision.

    Args:
        stages (Sequence[Config]): The stages in order.
        device (str): 'cpu' or 'cuda'.
        precision (str): The precision of training.
        measured (float, optional): Seconds of a step of the last stage if they have been measured.
        budget (Budget): The time for all measurements.

    Returns:
        list[dict[str, Any]]: For each stage, see :func:`stage_hours`.
    """
    found = []
    for number, config in enumerate(stages):
        share = budget.share(1 / (len(stages) - number))
        per_step = measured if config is stages[-1] else None
        if per_step is None:
            training = Training(config, build_segmentor(config, device), precision)
            steps = throughput(training, batches_of(config, device), device, share.share(0.7))
            per_step = steps['seconds_per_step']
            del training
            free_memory()
        images = network_seconds(config, device, precision, share)
        found.append(stage_hours(config, per_step, images, count_images(config)))
    return found
