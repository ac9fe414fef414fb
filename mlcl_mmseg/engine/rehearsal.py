"""Run every stage in small before the first one trains, so that mistakes show in the first minute.

A mistake in the last stage of a launch would otherwise end it after the days that the stages before
it take: a missing package, a figure that no validation has, a hook that cannot save.
"""

import gc
import shutil
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from logging import FileHandler
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..durable_files import write_durably
from ..errors import InputError, sentence_of
from .small_run import rehearsal_config, shrunken, unique_name
from .stage_files import announce, check_best, resume_from_latest
from .visualizer_backends import check_importable

# in the work dir of the last stage, which every process sees: while the rehearsal lasts, and after
# one that failed
FOLDER, TRACEBACK = '.rehearsal', 'rehearsal_error.txt'


def rehearse(configs: Sequence[Config], start: str | None) -> None:
    """Run stages in small, one after the other, each with two images of each domain.

    A stage takes one step, validates and saves; then a second runner resumes it for another step.
    All its hooks run. It starts from the best checkpoint that the rehearsal of the previous stage
    has saved. Random numbers and logs of the real runs are not affected.

    Args:
        configs (Sequence[Config]): The stages, in order. They are not changed.
        start (str, optional): The checkpoint that the first of them starts from.

    Raises:
        InputError: If anything fails. The message names the stage and the reason.
    """
    if not configs:
        return
    if is_main_process():
        # left by an earlier launch
        Path(configs[-1].work_dir, TRACEBACK).unlink(missing_ok=True)
    begin = time.perf_counter()
    announce('Rehearsal: every stage takes a step on a few images before the first one trains.')
    for config in configs:
        with failures_told(config, configs[-1].work_dir):
            check_importable(config)
    with shared_folder(configs) as folder:
        for number, config in enumerate(configs):
            with failures_told(config, configs[-1].work_dir):
                start = run_in_small(config, folder / f'stage_{number}', start)
            free_memory()
    announce(f'The rehearsal has passed in {time.perf_counter() - begin:.1f} s.')


def check_in_full(configs: Sequence[Config]) -> None:
    """Build stages as they are configured and run the checks of their hooks, such as of all data.

    Args:
        configs (Sequence[Config]): The stages. They are not changed.

    Raises:
        InputError: If anything fails. The message names the stage and the reason.
    """
    if not configs:
        return
    with shared_folder(configs) as folder:
        for config in configs:
            with failures_told(config, configs[-1].work_dir):
                build(rehearsal_config(config, folder, start='the stage before'))
            free_memory()


def build(config: Config) -> None:
    """Do what :meth:`mmengine.runner.Runner.train` does before it loads weights."""
    with closing_runner(config) as runner:
        # asking for the loops builds them
        _ = runner.train_loop, runner.val_loop
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)
        runner.build_param_scheduler(runner.param_schedulers or [])
        runner.call_hook('before_run')


def run_in_small(config: Config, folder: Path, start: str | None) -> str | None:
    """Rehearse one stage.

    Args:
        config (Config): Of the stage.
        folder (Path): For all that the stage writes.
        start (str, optional): The checkpoint that it starts from.

    Returns:
        str | None: Its best checkpoint, None if it is to keep none.
    """
    small = shrunken(rehearsal_config(config, folder, start))
    best = train(small)
    barrier()
    if (folder / 'iter_1.pth').is_file():
        resume_from_latest(small)
        small.train_cfg.max_iters = 2
        small.experiment_name = unique_name()
        best = train(small)
    barrier()
    check_best(config, best)
    return best


def train(config: Config) -> str | None:
    """Train by MMEngine's runner: the best checkpoint, None if it keeps none."""
    with closing_runner(config) as runner:
        runner.train()
        return runner.message_hub.runtime_info.get('best_ckpt')


@contextmanager
def closing_runner(config: Config) -> Iterator[Runner]:
    """A runner whose files are closed afterwards."""
    runner = Runner.from_cfg(config)
    try:
        yield runner
    finally:
        runner.visualizer.close()
        # MMEngine keeps the logger as the current one, and would write to its closed file
        for handler in [*runner.logger.handlers]:
            if isinstance(handler, FileHandler):
                handler.close()
                runner.logger.removeHandler(handler)


def free_memory() -> None:
    """Leave all memory to the runs that follow; models and optimisers hold each other."""
    gc.collect()
    torch.cuda.empty_cache()


@contextmanager
def shared_folder(configs: Sequence[Config]) -> Iterator[Path]:
    """A folder that all processes see and that is removed afterwards, also after a failure."""
    folder = Path(configs[-1].work_dir, FOLDER)

    def remove() -> None:
        if is_main_process() and folder.is_symlink():
            folder.unlink()
        elif is_main_process():
            shutil.rmtree(folder, ignore_errors=True)

    # a launch that was killed may have left one
    remove()
    barrier()
    try:
        yield folder
        barrier()
    finally:
        remove()


@contextmanager
def failures_told(config: Config, work_dir: str) -> Iterator[None]:
    """Say in one sentence which stage fails and why; keep the traceback of others' errors.

    Args:
        config (Config): Of the stage.
        work_dir (str): Where a traceback is kept.

    Raises:
        InputError: If anything fails.
    """
    path = Path(work_dir, TRACEBACK)
    try:
        yield
    except Exception as error:
        hook = hook_of(error)
        what = sentence_of(error)
        if not isinstance(error, InputError):
            write_durably(path, ''.join(traceback.format_exception(error)).encode())
            what = f'{type(error).__name__}: {what}: correct its config; {path} has the traceback.'
        elif type(hook).__module__.split('.')[0] == __package__.split('.')[0]:
            hook = None
        where = '' if hook is None else f', in {type(hook).__name__}'
        raise InputError(
            f'The stage {config.model.type} in {config.work_dir} fails in its rehearsal{where}: '
            f'{what}'
        ) from error


def hook_of(error: Exception) -> Hook | None:
    """The hook in which an error was raised, None if in none."""
    owners = [frame.f_locals.get('self') for frame, _ in traceback.walk_tb(error.__traceback__)]
    return next((owner for owner in reversed(owners) if isinstance(owner, Hook)), None)
