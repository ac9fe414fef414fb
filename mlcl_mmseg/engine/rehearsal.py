"""Run every stage in small before the first one trains, so that mistakes show in the first minute.

A mistake in the last stage of a launch would otherwise end it after the days that the stages before
it take: a missing package, a figure that no validation has, a hook that cannot save.
"""

import ast
import copy
import gc
import importlib.util
import inspect
import shutil
import textwrap
import time
import traceback
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.dist import barrier, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.visualization import BaseVisBackend, LocalVisBackend, TensorboardVisBackend
from mmseg.registry import DATASETS, VISBACKENDS

from ..errors import InputError, sentence_of
from .stage_files import announce, check_best, resume_from_latest

# in the work dir of the last stage, which every process sees: while the rehearsal lasts, and after
# one that failed
FOLDER, TRACEBACK = '.rehearsal', 'rehearsal_error.txt'
# settings that name a folder to write to, in whatever part of a config
OUTPUT_FOLDERS = ('out_dir', 'output_dir', 'save_dir')
# settings of a loader that are for worker processes alone
OF_WORKERS = ('prefetch_factor', 'timeout', 'multiprocessing_context')
# backends that write to the folder of the run and nowhere else
LOCAL_BACKENDS = (LocalVisBackend, TensorboardVisBackend)


def rehearse(configs: Sequence[Config], start: str | None) -> None:
    """Run stages in small, one after the other, each with two images of each domain.

    A stage takes one step, validates and saves; then a second runner resumes it for another step.
    All its hooks take part. It starts from the best checkpoint that the rehearsal of the stage
    before has saved. What the real runs draw and log is not touched.

    Args:
        configs (Sequence[Config]): The stages, in order. They are not changed.
        start (str, optional): The checkpoint that the first of them starts from.

    Raises:
        InputError: If anything fails; it says in which stage, and what.
    """
    if not configs:
        return
    if is_main_process():
        # of a launch before
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
        InputError: If anything fails; it says in which stage, and what.
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


def rehearsal_config(config: Config, folder: Path, start: str | None) -> Config:
    """The config of a stage for a run that leaves nothing but files in a folder."""
    # MMEngine formats a config for each file that holds it, most of a second each time
    copied = Config(
        dict(copy.deepcopy(config).items()),
        cfg_text=config.text,
        filename=config.filename,
        format_python_code=False,
    )
    copied.load_from = start
    copied.resume = False
    # MMEngine keeps loggers, figures and visualisers by this name
    copied.experiment_name = unique_name()
    copied.log_level = 'ERROR'
    if copied.get('visualizer'):
        copied.visualizer.vis_backends = [
            backend
            for backend in copied.visualizer.get('vis_backends') or []
            if issubclass(backend_class(backend), LOCAL_BACKENDS)
        ]
    redirect_output(copied, str(folder / 'output'))
    copied.work_dir = str(folder)
    return copied


def shrunken(config: Config) -> Config:
    """Let a run take one step on two images of each domain, and log, validate and save it."""
    # an image for each process, so that no sampler has to repeat one
    num_images = max(2, get_world_size())
    for loader in filter(None, map(config.get, ('train_dataloader', 'val_dataloader'))):
        loader.update(num_workers=0, persistent_workers=False)
        if 'batch_size' in loader:
            loader.batch_size = min(2, loader.batch_size)
        for key in OF_WORKERS:
            loader.pop(key, None)
        limit_images(loader.dataset, num_images)
    config.train_cfg.update(max_iters=1, val_interval=1, val_begin=1)
    hooks = config.get('default_hooks', {})
    for name, changes in dict(logger={}, checkpoint=dict(save_begin=0)).items():
        if hooks.get(name):
            hooks[name].update(interval=1, **changes)
    return config


def limit_images(settings: Any, num_images: int) -> None:
    """Let every data set in a part of a config read its first images alone."""
    if isinstance(settings, list | tuple):
        for each in settings:
            limit_images(each, num_images)
    elif isinstance(settings, dict):
        name = settings.get('type')
        dataset_class = DATASETS.get(name) if isinstance(name, str) else name
        if inspect.isclass(dataset_class) and issubclass(dataset_class, BaseDataset):
            settings['indices'] = first_of(settings.get('indices'), num_images)
            # it is for loaders with workers, and collects garbage each time
            settings['serialize_data'] = False
            return
        for each in settings.values():
            limit_images(each, num_images)


def first_of(indices: int | Sequence[int] | None, num_images: int) -> int | Sequence[int]:
    """The first images of those that ``indices`` of a data set choose; if negative, the last."""
    if indices is None:
        return num_images
    if isinstance(indices, int):
        return max(-num_images, min(num_images, indices))
    return indices[:num_images]


def redirect_output(settings: Any, folder: str) -> None:
    """Let everything in a part of a config write to one folder instead of its own."""
    if isinstance(settings, list | tuple):
        for each in settings:
            redirect_output(each, folder)
    elif isinstance(settings, Config | dict):
        for key, value in settings.items():
            if key in OUTPUT_FOLDERS and isinstance(value, str):
                settings[key] = folder
            redirect_output(value, folder)


def backend_class(backend: dict) -> type[BaseVisBackend]:
    """The class of a visualiser's backend."""
    name = backend['type']
    found = VISBACKENDS.get(name) if isinstance(name, str) else name
    if found is None:
        raise InputError(f'visualizer.vis_backends has {name}, which is unknown: correct it.')
    return found


def check_importable(config: Config) -> None:
    """Import what the backends need that would start a real run elsewhere, such as W&B.

    Raises:
        InputError: If a package is missing.
    """
    for backend in (config.get('visualizer') or {}).get('vis_backends') or []:
        found = backend_class(backend)
        if issubclass(found, LOCAL_BACKENDS):
            continue
        for module in imports_of(found):
            try:
                importlib.import_module(module)
            except ImportError as error:
                package = module.split('.')[0]
                raise InputError(
                    f'{found.__name__} cannot import {module} ({error}): install {package}, such '
                    f'as by pip install {package}, or leave the backend out of '
                    'visualizer.vis_backends.'
                ) from error


def imports_of(backend: type[BaseVisBackend]) -> list[str]:
    """The modules that a backend imports when it is first used, as its source has them."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(backend._init_env)))
    modules: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            name = '.' * node.level + (node.module or '')
            package = backend.__module__.rpartition('.')[0]
            modules.append(importlib.util.resolve_name(name, package))
    return modules


def unique_name() -> str:
    """A name that no other run of this process has."""
    return f'rehearsal_{uuid.uuid4().hex}'


@contextmanager
def closing_runner(config: Config) -> Iterator[Runner]:
    """A runner whose files are closed afterwards."""
    runner = Runner.from_cfg(config)
    try:
        yield runner
    finally:
        runner.visualizer.close()
        for handler in runner.logger.handlers:
            handler.close()


def free_memory() -> None:
    """Leave all memory to the runs that follow; models and optimisers hold each other."""
    gc.collect()
    torch.cuda.empty_cache()


@contextmanager
def shared_folder(configs: Sequence[Config]) -> Iterator[Path]:
    """A folder that all processes see and that is removed afterwards, also after a failure."""
    folder = Path(configs[-1].work_dir, FOLDER)

    def remove() -> None:
        if is_main_process():
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
            path.write_text(''.join(traceback.format_exception(error)))
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
