"""The stages of one launch: which are complete, which one is resumed, which start from scratch."""

import gc
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import barrier, is_main_process
from mmengine.runner import Runner

from ..datasets.workers import describe_workers
from ..durable_files import locked_folder
from ..errors import InputError
from .bf16_speed import warn_of_slow_bf16
from .config_record import CONFIG, write_config
from .precision import precision_of
from .rehearsal import check_in_full, rehearse
from .stage_files import (
    COMPLETE,
    STARTED,
    announce,
    best_checkpoint,
    check_best,
    check_checkpoint,
    is_complete,
    keeps_best,
    latest_checkpoint,
    read_marker,
    remove_links,
    resume_from_latest,
    set_aside,
    write_marker,
)
from .stage_settings import check_same_settings, fingerprint


def train_stages(configs: Sequence[Config], resume: bool) -> None:
    """Train the stages that are not complete, each from the best checkpoint of the one before.

    A stage is complete when its work dir holds the marker that is written after its last
    iteration. Every process has to see the same files.

    Args:
        configs (Sequence[Config]): The stages' configs in order, each with its own work dir.
        resume (bool): Whether to resume the last stage that has a checkpoint. Otherwise every
            stage that is not complete, and the last one in any case, starts from scratch.

    Raises:
        InputError: If two stages share a work dir or another run uses it, a stage keeps no best
            checkpoint for the next, or a stage that is to be used or resumed was trained with
            other settings.
    """
    check_stages(configs)
    with ExitStack() as stack:
        locks = []
        if is_main_process():
            locks = [stack.enter_context(locked_folder(config.work_dir)) for config in configs]
        train_locked_stages(configs, resume, locks)


def train_locked_stages(
    configs: Sequence[Config], resume: bool, locks: Sequence[ExitStack]
) -> None:
    """:func:`train_stages` in work dirs that no other run uses."""
    settings = [fingerprint(config, number == 0) for number, config in enumerate(configs)]
    first = first_to_train(configs, settings, resume)
    # other runs may start from the same complete stage
    for lock in locks[:first]:
        lock.close()
    resumes = resume and latest_checkpoint(configs[first]) is not None
    barrier()
    if resumes and is_complete(configs[first]):
        announce(f'{configs[first].work_dir} is complete: there is nothing to resume.')
        return
    if resumes:
        resume_from_latest(configs[first])
        # it has the same tensors as the best checkpoint that the stage will end with
        start = configs[first].load_from
    else:
        start = start_of(configs, first)
    precisions = {precision_of(config.get('optim_wrapper')) for config in configs[first:]}
    if 'bf16' in precisions and not torch.cuda.is_available():
        warn_of_slow_bf16()
    rehearse(configs[first + resumes :], start)
    # the first stage checks all its data when its training starts, right after this
    check_in_full(configs[first + 1 :])
    for number in range(first, len(configs)):
        config = configs[number]
        title = f'Stage {number + 1} of {len(configs)}, {config.model.type}, in {config.work_dir}'
        if resumes and number == first:
            announce(f'{title}, resumes from {config.load_from}.')
        else:
            warn_of_schedule(config)
            config.load_from = start_of(configs, number)
            config.resume = False
            set_aside(configs[number:])
            announce(f'{title}, starts from {config.load_from or "the initial weights"}.')
        announce(describe_workers(config))
        train_stage(config, settings[number])


def check_stages(configs: Sequence[Config]) -> None:
    """Refuse stages that cannot follow each other.

    Raises:
        InputError: If two stages share a work dir, or one keeps no best checkpoint for the next.
    """
    folders = [Path(config.work_dir).resolve() for config in configs]
    if len(set(folders)) < len(folders):
        raise InputError(
            f'{configs[-1].work_dir} is the work dir of two stages: give each its own, or leave '
            'work_dir out of the configs.'
        )
    for config in configs[:-1]:
        if not keeps_best(config):
            raise InputError(
                f'The stage in {config.work_dir} would keep no best checkpoint to start the next '
                "one from: set default_hooks.checkpoint.save_best='mIoU'."
            )


def first_to_train(configs: Sequence[Config], settings: Sequence[dict], resume: bool) -> int:
    """Index of the stage with which this launch begins.

    A complete stage makes those before it unnecessary.

    Raises:
        InputError: If a stage that is to be used or resumed was trained with other settings.
    """
    last = len(configs) - 1
    begun = [number for number in range(last + 1) if latest_checkpoint(configs[number])]
    if resume and begun and (begun[-1] == last or not is_complete(configs[begun[-1]])):
        for number in begun:
            check_resumable(configs[number], settings[number])
        return begun[-1]
    complete = [number for number in range(last) if is_complete(configs[number])]
    # an earlier stage is not used any more, but the later ones were trained from it
    for number in complete:
        check_usable(configs[number], settings[number])
    if complete:
        announce(f'{configs[complete[-1]].work_dir} is complete.')
        return complete[-1] + 1
    return 0


def check_resumable(config: Config, settings: dict) -> None:
    """Refuse to resume a stage that was started with other settings.

    Raises:
        InputError: If the settings differ.
    """
    check_same_settings(
        read_marker(config, STARTED).settings,
        settings,
        f'{config.work_dir} was started',
        'resume with the same settings, or start from scratch without --resume',
    )


def check_usable(config: Config, settings: dict) -> None:
    """Refuse to use a complete stage that was trained with other settings.

    Raises:
        InputError: If the settings differ.
    """
    check_same_settings(
        read_marker(config, COMPLETE).settings,
        settings,
        f'{config.work_dir} is complete but was trained',
        f'pass --cfg-options load_from={best_checkpoint(config)} to use it anyway, or remove it',
    )


def start_of(configs: Sequence[Config], number: int) -> str | None:
    """The checkpoint that a stage starts from, None for the initial weights.

    Raises:
        InputError: If the file does not exist.
    """
    if number > 0:
        return best_checkpoint(configs[number - 1])
    start = configs[0].get('load_from')
    check_checkpoint(start)
    return start


def warn_of_schedule(config: Config) -> None:
    """Log a note where a training ends before or after its learning rate reaches 0."""
    schedulers = config.get('param_scheduler') or []
    for scheduler in [schedulers] if isinstance(schedulers, dict) else schedulers:
        end, max_iters = scheduler.get('end'), config.train_cfg.get('max_iters')
        if scheduler.get('type') == 'PolyLR' and end != (max_iters or 0) + 1:
            announce(
                f'Note that train_cfg.max_iters is {max_iters} but param_scheduler.end {end}, not '
                'one more: the learning rate does not end at 0.'
            )


def train_stage(config: Config, settings: dict) -> None:
    """Train one stage and mark it as complete.

    Args:
        config (Config): Of the stage.
        settings (dict): Its :func:`fingerprint`, which the marker keeps.

    Raises:
        InputError: If it ends without the best checkpoint that it should have kept.
    """
    write_marker(config, STARTED, dict(settings=settings))
    remove_links(config)
    if is_main_process():
        write_config(config, Path(config.work_dir, CONFIG))
    runner = Runner.from_cfg(config)
    runner.train()
    best = runner.message_hub.runtime_info.get('best_ckpt')
    check_best(config, best)
    marker = dict(
        best_checkpoint=None if best is None else Path(best).name,
        iterations=runner.iter,
        settings=settings,
    )
    write_marker(config, COMPLETE, marker)
    # the next stage needs this one's memory and loader processes
    del runner
    gc.collect()
