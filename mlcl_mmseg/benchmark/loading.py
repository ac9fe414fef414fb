"""The speed of the training loader on drawn frames of 2048x1024."""

import itertools
import os
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmseg.registry import DATASETS

from ..datasets.multi_domain import MultiDomainDataset, StreamPosition
from ..datasets.prepare import prepare_config
from ..datasets.workers import cores
from ..errors import InputError
from .clock import Budget, durations
from .inputs import random_pseudo_labels

# numbers of timed positions of the stream
FEWEST, MOST = 4, 40


def loaded_dataset(config: Config, folder: Path, is_prepared: bool) -> MultiDomainDataset:
    """Build the training set of a config that reads drawn frames.

    Args:
        config (Config): The config, read within
            :func:`~mlcl_mmseg.benchmark.inputs.drawn_frames`. If ``is_prepared``, it is changed.
        folder (Path): Folder for prepared copies and pseudo-labels.
        is_prepared (bool): Whether the training set reads prepared copies.

    Returns:
        MultiDomainDataset: The training set, with pseudo-labels if there are targets.
    """
    if is_prepared:
        read_prepared(config, folder / 'prepared')
    dataset: MultiDomainDataset = DATASETS.build(config.train_dataloader.dataset)
    if dataset.targets:
        dataset.pseudo_labels = random_pseudo_labels(config, dataset, folder)
    return dataset


def read_prepared(config: Config, out: Path) -> None:
    """Prepare the data sets of a config, and let its training read the copies."""
    prepared = prepare_config(config, out, num_workers=0)
    if prepared.failures:
        raise InputError(prepared.failures[0])
    copies = {each.source: each.folder for each in prepared.copies}
    train = config.train_dataloader.dataset
    for domain in (train.source, *train.targets):
        domain.data_root = copies[os.path.abspath(domain.data_root)]


def seconds_per_sample(dataset: MultiDomainDataset, budget: Budget) -> float:
    """Measure the mean time in seconds to load an image of each domain, in this process.

    Args:
        dataset (MultiDomainDataset): The training set.
        budget (Budget): No sample but the first :data:`FEWEST` begins after it.
    """
    positions = (StreamPosition(0, index) for index in itertools.count())

    def load() -> dict[str, Any]:
        return dataset[next(positions)]

    load()
    return float(durations(load, 'cpu', FEWEST, MOST, budget).mean())


def loading(config: Config, folder: Path, budget: Budget) -> dict[str, Any]:
    """Measure the loader without and with prepared data, and the number of processes it can use.

    Args:
        config (Config): See :func:`loaded_dataset`. It is changed.
        folder (Path): An empty folder for files.
        budget (Budget): The time for both measurements.

    Returns:
        dict[str, Any]: ``seconds_per_batch`` of one process from original (``unprepared``) and
        ``prepared`` frames, ``num_workers`` of the config, and ``cores`` of this machine that the
        process may use.
    """
    loader = config.train_dataloader
    seconds = {}
    for name, is_prepared in (('unprepared', False), ('prepared', True)):
        (folder / name).mkdir()
        dataset = loaded_dataset(config, folder / name, is_prepared)
        share = budget.share(1 if is_prepared else 0.5)
        seconds[name] = loader.batch_size * seconds_per_sample(dataset, share)
    return dict(
        seconds_per_batch=seconds,
        num_workers=loader.num_workers,
        cores=cores(),
    )
