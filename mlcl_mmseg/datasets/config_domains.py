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
        config (dict): The domain's config, a part of the whole one.
        pipelines (list): The configs of the pipelines through which it is read.
    """

    role: str
    config: dict
    pipelines: list


def config_domains(config: Config, loaders: Sequence[str] = LOADERS) -> list[ConfigDomain]:
    """List the domains that the loaders of a config read.

    Args:
        config (Config): Of any stage; it may lack loaders.
        loaders (Sequence[str]): The keys of the loaders to look at.

    Returns:
        list[ConfigDomain]: The source, the targets, the validation domains. A domain that several
        loaders read in the same role is listed once. A loader whose data set is a single one
        validates that.
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
    """The role, config and pipeline of each domain, loader by loader."""
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
    """(width, height) to which the source's pipeline resizes.

    Raises:
        InputError: If it does not tell.
    """
    return source_setting(config, 'Resize', 'scale')


def crop_size(config: Config) -> tuple[int, int]:
    """(width, height) of the source's training crops.

    Raises:
        InputError: If its pipeline does not tell.
    """
    return source_setting(config, 'WeakAugmentation', 'crop_size')


def source_setting(config: Config, transform: str, key: str) -> tuple[int, int]:
    """A size that a transform of the source's pipeline is given."""
    steps = {step['type']: step for step in config.train_dataloader.dataset.source_pipeline}
    size = steps.get(transform, {}).get(key)
    if size is None:
        raise InputError(
            f'train_dataloader.dataset.source_pipeline has no {transform} with {key}, which tells '
            'the size of images: give a config whose pipelines are as in '
            'configs/_base_/datasets/domains_7.py.'
        )
    width, height = size
    return width, height
