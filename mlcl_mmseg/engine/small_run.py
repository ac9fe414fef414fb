"""The config of a stage for a run in small: two images of each domain, nothing left elsewhere."""

import copy
import inspect
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.dist import get_world_size
from mmseg.registry import DATASETS

from .visualizer_backends import local_backends

# settings that name a folder to write to, in whatever part of a config
OUTPUT_FOLDERS = ('out_dir', 'output_dir', 'save_dir')
# settings of a loader that are for worker processes alone
OF_WORKERS = ('prefetch_factor', 'timeout', 'multiprocessing_context')


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
        copied.visualizer.vis_backends = local_backends(config)
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


def unique_name() -> str:
    """A name that no other run of this process has."""
    return f'rehearsal_{uuid.uuid4().hex}'
