"""What decides the outcome of a stage, so that no stage is taken for one of other settings."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import get_world_size
from mmseg.registry import DATASETS

from ..datasets.domain import DomainDataset
from ..errors import InputError

# parts of a config that decide which weights a stage ends with
DECISIVE = (
    'model',
    'train_dataloader',
    'val_dataloader',
    'val_evaluator',
    'val_cfg',
    'optim_wrapper',
    'param_scheduler',
    'train_cfg',
    'randomness',
    'custom_hooks',
    'auto_scale_lr',
)
# what does not, in these; where the data lie is told by the files found there
INDIFFERENT = (
    *('data_root', 'num_workers', 'persistent_workers', 'pin_memory', 'prefetch_factor'),
    *('visualizer', 'checkpoint'),
)
# files whose sizes are looked at in each domain
SIZED_FILES = 32


def decisive_settings(config: Config, is_first: bool = True) -> dict[str, Any]:
    """What decides the weights that a stage ends with, in terms of JSON.

    Args:
        config (Config): Of the stage.
        is_first (bool): Whether it starts from ``load_from`` as configured, not from another
            stage.

    Returns:
        dict[str, Any]: Parts of the config, how the best checkpoint is chosen, what it starts
        from, and the data that were found. A setting that is None counts as left out.
    """

    def keep(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: keep(each)
                for key, each in value.items()
                if key not in INDIFFERENT and each is not None
            }
        if isinstance(value, list | tuple):
            return [keep(each) for each in value]
        return value

    settings = keep({key: config.get(key) for key in DECISIVE})
    # as many images in a step, however they are shared out
    if 'batch_size' in settings.get('train_dataloader', {}):
        settings['train_dataloader']['batch_size'] *= get_world_size()
    checkpoint_hook = config.get('default_hooks', {}).get('checkpoint') or {}
    settings['best_checkpoint'] = keep(
        {key: checkpoint_hook.get(key) for key in ('save_best', 'rule')}
    )
    settings['load_from'] = config.get('load_from') if is_first else 'the stage before'
    settings['data'] = {name: describe_files(domain) for name, domain in domains_of(config)}
    return json.loads(json.dumps(keep(settings), default=str))


def domains_of(config: Config) -> Iterator[tuple[str, DomainDataset]]:
    """The domains that a stage trains and validates on, by role and name."""
    train = (config.get('train_dataloader') or {}).get('dataset', {})
    validation = (config.get('val_dataloader') or {}).get('dataset', {})
    for role, domains in (
        ('source', [train.get('source')]),
        ('target', train.get('targets') or []),
        ('validation', validation.get('domains') or []),
    ):
        for domain in filter(None, domains):
            # serialising is for loaders with workers
            options = dict(role=role, pipeline=[], serialize_data=False)
            dataset = DATASETS.build({**domain, **options})
            yield f'{role} {dataset.domain}', dataset


def describe_files(domain: DomainDataset) -> str:
    """The number of a domain's images, and a digest of their names and of some sizes."""
    digest = hashlib.sha256()
    for number in range(len(domain)):
        data_info = domain.get_data_info(number)
        digest.update(data_info['sample_name'].encode())
        if number < SIZED_FILES:
            digest.update(str(Path(data_info['img_path']).stat().st_size).encode())
    return f'{len(domain)} images ({digest.hexdigest()[:8]})'


def check_same_settings(found: dict, wanted: dict, state: str, remedy: str) -> None:
    """Refuse a stage of other settings.

    Args:
        found (dict): The settings that it was trained with.
        wanted (dict): Those of now.
        state (str): Which stage it is and how far, for the message.
        remedy (str): What to do.

    Raises:
        InputError: If they differ; the message has the first difference.
    """
    if found != wanted:
        raise InputError(
            f'{state} with other settings ({first_difference(found, wanted)}): {remedy}.'
        )


def first_difference(found: Any, wanted: Any, key: str = '') -> str:
    """The dotted key of the first difference, with both values."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        pairs = {name: (found.get(name), wanted.get(name)) for name in {**found, **wanted}}
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        pairs = dict(enumerate(zip(found, wanted)))
    else:
        return f'{key.lstrip(".")} was {found!r}, is now {wanted!r}'
    name, (old, new) = next(item for item in pairs.items() if item[1][0] != item[1][1])
    return first_difference(old, new, f'{key}.{name}')
