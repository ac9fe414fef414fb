"""The settings that decide the outcome of a stage: its fingerprint.

It tells whether a stage that was trained earlier may be used or resumed with the settings of now.
"""

import hashlib
import inspect
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import get_world_size
from mmseg.registry import DATASETS

from ..datasets.config_domains import config_domains
from ..datasets.domain import DomainDataset
from ..datasets.prepared_manifest import file_digest
from ..errors import InputError
from ..models.backbones.pretrained import describe_pretrained

UNKNOWN = 'a file that is not there'
# top-level keys of a config that decide which weights a stage ends with
FINGERPRINTED_KEYS = (
    *('model', 'train_dataloader', 'val_evaluator', 'val_cfg', 'optim_wrapper', 'param_scheduler'),
    *('train_cfg', 'randomness', 'custom_hooks', 'auto_scale_lr', 'sync_bn'),
)
# keys below them that do not; the data are described by the files that are found
IGNORED_KEYS = (
    *('data_root', 'image_dir', 'label_dir', 'num_workers', 'persistent_workers', 'pin_memory'),
    *('prefetch_factor', 'timeout', 'worker_init_fn', 'visualizer', 'checkpoint'),
)
# keys that stages of earlier versions do not have
LATER_KEYS = ('validation', 'validation_labels')


def fingerprint(config: Config, is_first: bool = True) -> dict[str, Any]:
    """The settings and data that decide the weights of a stage, as JSON values.

    Args:
        config (Config): Of the stage.
        is_first (bool): Whether it starts from ``load_from`` as configured, not from another
            stage.

    Returns:
        dict[str, Any]: Parts of the config, how the best checkpoint is chosen, what the stage
        starts from, and the data that were found. A setting that is None counts as not given.
    """

    def keep(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: keep(each)
                for key, each in value.items()
                if key not in IGNORED_KEYS and each is not None
            }
        if isinstance(value, list | tuple):
            return [keep(each) for each in value]
        if isinstance(value, set | frozenset):
            return sorted(map(keep, value), key=str)
        if callable(value):
            return f'{value.__module__}.{getattr(value, "__qualname__", type(value).__name__)}'
        return value

    settings = keep({key: config.get(key) for key in FINGERPRINTED_KEYS})
    # images of all processes in a step, however they are distributed
    if 'batch_size' in settings.get('train_dataloader', {}):
        settings['train_dataloader']['batch_size'] *= get_world_size()
    checkpoint_hook = config.get('default_hooks', {}).get('checkpoint') or {}
    settings['best_checkpoint'] = keep(
        {key: checkpoint_hook.get(key) for key in ('save_best', 'rule')}
    )
    # of the validation, the inputs alone: its loader does not change the figures
    validation = (config.get('val_dataloader') or {}).get('dataset', {})
    settings['val_pipeline'] = keep(validation.get('pipeline'))
    if config.get('load_from') is not None and is_first:
        settings['load_from'] = describe_file(config.load_from)
    if is_first:
        settings['imagenet_weights'] = describe_imagenet_weights(config)
    settings['validation'] = keep(
        {key: value for key, value in validation.items() if key != 'pipeline'}
    )
    domains = dict(domains_of(config))
    settings['data'] = {name: describe_files(domain) for name, domain in domains.items()}
    settings['validation_labels'] = {
        name: describe_labels(domain)
        for name, domain in domains.items()
        if domain.role == 'validation'
    }
    return json.loads(json.dumps(keep(settings)))


def domains_of(config: Config) -> Iterator[tuple[str, DomainDataset]]:
    """The domains that a stage trains and validates on, by role and name."""
    for domain in config_domains(config, ('train_dataloader', 'val_dataloader')):
        # a data set that is validated alone may be of any type
        dataset_type = domain.config.get('type')
        dataset_class = (
            DATASETS.get(dataset_type) if isinstance(dataset_type, str) else dataset_type
        )
        if not (inspect.isclass(dataset_class) and issubclass(dataset_class, DomainDataset)):
            continue
        # serialising is for loaders with workers
        options = dict(role=domain.role, pipeline=[], serialize_data=False)
        dataset = DATASETS.build({**domain.config, **options})
        yield f'{domain.role} {dataset.domain}', dataset


def describe_files(domain: DomainDataset) -> str:
    """The number of a domain's images, and a digest of their names, sizes and labels' sizes.

    A prepared copy is described like its originals, since their samples are equal.
    """
    digest = hashlib.sha256()
    for number in range(len(domain)):
        data_info = domain.get_data_info(number)
        paths = [data_info['img_path'], *filter(None, [data_info.get('seg_map_path')])]
        sizes = data_info.get('original_sizes') or [*map(file_size, paths)]
        # names of files need not be UTF-8
        digest.update(f'{data_info["sample_name"]} {sizes}'.encode('utf-8', 'surrogateescape'))
    return f'{len(domain)} images ({digest.hexdigest()[:8]})'


def describe_labels(domain: DomainDataset) -> str:
    """A digest of the contents of a domain's labels, which decide which checkpoint is the best."""
    infos = [domain.get_data_info(number) for number in range(len(domain))]
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(lambda info: label_digest(domain, info['seg_map_path']), infos))
    return hashlib.sha256(str(digests).encode()).hexdigest()[:8]


def label_digest(domain: DomainDataset, path: str) -> int | None:
    """CRC-32 of a label or, of a prepared copy, of its original; None if it is not a file."""
    if domain.prepared_copy is not None:
        return domain.prepared_copy.original_digest(path)
    return file_digest(path) if Path(path).is_file() else None


def file_size(path: str) -> int | None:
    """Size of a file in bytes; None for a broken link, which the check of the data reports."""
    try:
        return Path(path).stat().st_size
    except OSError:
        return None


def describe_imagenet_weights(config: Config) -> str | None:
    """A digest of the weights that the backbone starts from; UNKNOWN if the file is missing."""
    init_cfg = config.get('model', {}).get('backbone', {}).get('init_cfg')
    if not isinstance(init_cfg, dict) or 'checkpoint' not in init_cfg:
        return None
    return describe_pretrained(init_cfg['checkpoint']) or UNKNOWN


def describe_file(path: str) -> str:
    """A file's size and a digest of its last mebibyte; UNKNOWN if the file is missing."""
    if '://' in path:
        return path
    if not Path(path).is_file():
        return UNKNOWN
    with open(path, 'rb') as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - 2**20))
        return f'{size} bytes ({hashlib.sha256(file.read()).hexdigest()[:8]})'


def check_same_settings(found: dict, wanted: dict, state: str, remedy: str) -> None:
    """Refuse a stage that was trained with other settings.

    Args:
        found (dict): The :func:`fingerprint` that it was trained with.
        wanted (dict): The current one.
        state (str): Which stage it is and what state it is in, for the message.
        remedy (str): What the user can do, for the message.

    Raises:
        InputError: If they differ; the message has the first difference.
    """
    # a resumed run does not read the files that it once started from
    gone = [key for key in ('load_from', 'imagenet_weights') if wanted.get(key) == UNKNOWN]
    wanted = {**wanted, **{key: found.get(key) for key in gone}}
    wanted = {key: wanted[key] for key in wanted if key in found or key not in LATER_KEYS}
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
