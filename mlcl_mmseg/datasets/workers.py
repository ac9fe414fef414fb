"""How many processes load the data of a run, if its config does not say so."""

import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from .config_domains import LOADERS, config_domains
from .prepared_manifest import MANIFEST

# A step needs up to 16 samples. One takes about 80 ms of a core from original images and 15 ms or
# less from prepared copies (docs/benchmarks.md). So these numbers load a batch in 60 to 80 ms.
FROM_ORIGINALS, FROM_COPIES = 16, 4


def choose_workers(config: Config) -> None:
    """Set ``num_workers`` of each loader that sets none; those of validations and tests persist.

    Samples do not depend on the number of workers.

    Args:
        config (Config): The config, which is changed in place.
    """
    for name in LOADERS:
        loader = config.get(name)
        if loader and 'num_workers' not in loader:
            loader.num_workers = num_workers(cores(), is_prepared(config, [name]))
            # those of a training restart with new pseudo-labels
            if name != 'train_dataloader':
                loader.setdefault('persistent_workers', True)


def num_workers(num_cores: int, prepared: bool) -> int:
    """The number of workers of a loader.

    Args:
        num_cores (int): CPU cores of this process, one of which is left to the process itself.
        prepared (bool): Whether the loader reads prepared copies.

    Returns:
        int: It is 0 with a single core.
    """
    return max(0, min(num_cores - 1, FROM_COPIES if prepared else FROM_ORIGINALS))


def cores() -> int:
    """The CPU cores that this process may use, which it shares with those of torchrun.

    A limit of a container on processor time that leaves all cores visible is not known here.
    """
    available = len(os.sched_getaffinity(0))
    of_task = int(os.environ.get('SLURM_CPUS_PER_TASK', available))
    return min(available, of_task) // int(os.environ.get('LOCAL_WORLD_SIZE', 1))


def is_prepared(config: Config, loaders: Sequence[str]) -> bool:
    """Whether all domains that some loaders of a config read are prepared copies."""
    roots = [each.config.get('data_root') for each in config_domains(config, loaders)]
    return bool(roots) and all(root and Path(root, MANIFEST).is_file() for root in roots)


def describe_workers(config: Config) -> str:
    """Say in a sentence how many workers load the training data, and why."""
    prepared = is_prepared(config, ['train_dataloader'])
    number = config.train_dataloader.get('num_workers', 0)
    reason = 'as it was set'
    if number == num_workers(cores(), prepared):
        kind = 'prepared copies' if prepared else 'original images, not prepared copies,'
        reason = f'for {kind} and {cores()} CPU cores of this process'
    return f'train_dataloader.num_workers is {number}, {reason}.'
