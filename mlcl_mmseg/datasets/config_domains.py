"""The domains that a config reads, and the sizes at which it reads them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mmengine.config import Config

from ..errors import InputError

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


class ConfigDomain(NamedTuple):
    """A domain of a config in one role.

    Attributes:
        role (str): 'source', 'target' or 'validation'.
        config (dict): The config of the domain, a part of the full config.
        pipelines (list): The configs of the pipelines that read the domain.
    """

    role: str
    config: dict
    pipelines: list


def config_domains(config: Config, loaders: Sequence[str] = LOADERS) -> list[ConfigDomain]:
    """List the domains that the loaders of a config read.

    Args:
        config (Config): The config of any stage. It need not have all loaders.
        loaders (Sequence[str]): The keys of the loaders to include.

    Returns:
        list[ConfigDomain]: The source, the targets and the validation domains. A domain that
        several loaders read in the same role is listed once. If the data set of a validation or
        test loader has no ``domains``, the data set itself is the validation domain.
    """
    domains: list[ConfigDomain] = []
    for role, domain_config, pipeline in walk_domains(config, loaders):
        known = [each for each in domains if (each.role, each.config) == (role, domain_config)]
        if not known:
            known = [ConfigDomain(role, domain_config, [])]
            domains += known
        if pipeline not in known[0].pipelines:
            known[0].pipelines.append(pipeline)
    return domains


def walk_domains(config: Config, loaders: Sequence[str]) -> Iterator[tuple[str, dict, list]]:
    """Yield the role, config and pipeline of each domain, loader by loader."""
    for loader in loaders:
        dataset = (config.get(loader) or {}).get('dataset') or {}
        if loader == 'train_dataloader':
            if dataset.get('source'):
                yield 'source', dataset['source'], dataset.get('source_pipeline') or []
            for target in dataset.get('targets') or []:
                yield 'target', target, dataset.get('target_pipeline') or []
        elif dataset:
            for domain in dataset.get('domains') or [dataset]:
                yield 'validation', domain, dataset.get('pipeline') or []


def working_size(config: Config) -> tuple[int, int]:
    """Return the (width, height) to which the source pipeline resizes.

    Raises:
        InputError: If the pipeline does not set it.
    """
    return source_setting(config, 'Resize', 'scale')


def crop_size(config: Config) -> tuple[int, int]:
    """Return the (width, height) of the training crops of the source.

    Raises:
        InputError: If the pipeline does not set it.
    """
    return source_setting(config, 'WeakAugmentation', 'crop_size')


def source_setting(config: Config, transform: str, key: str) -> tuple[int, int]:
    """Return a size that is an argument of a transform in the source pipeline."""
    steps = {step['type']: step for step in config.train_dataloader.dataset.source_pipeline}
    size = steps.get(transform, {}).get(key)
    if size is None:
        raise InputError(
            f'train_dataloader.dataset.source_pipeline has no {transform} with {key}, which sets '
            'the size of images: use a config with pipelines as in '
            'configs/_base_/datasets/domains_7.py.'
        )
    width, height = size
    return width, height
