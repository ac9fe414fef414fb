"""Which data sets of a config are copied, and to which folders."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmcv.transforms import Compose
from mmengine.config import Config
from mmseg.registry import DATASETS

from ..errors import InputError
from .config_domains import config_domains
from .domain import DomainDataset
from .prepared_copy import Loading, PreparedCopy, loading_of


def find_domains(config: Config) -> Iterator[tuple[DomainDataset, Loading, Compose]]:
    """Yield each data set that can be read from a copy, its loading and the transforms for it.

    Whole splits are copied, so that the copy serves other configs that read more of their images.

    Raises:
        InputError: If a data set is itself a prepared copy.
    """
    for role, domain_config, pipelines in config_domains(config):
        for pipeline in map(Compose, pipelines):
            loading = loading_of(pipeline)
            if loading is None:
                continue
            domain = DATASETS.build(
                {**domain_config, 'role': role, 'pipeline': [], 'indices': None}
            )
            if domain.prepared_copy is not None:
                raise InputError(
                    f'{domain.data_root} is a prepared copy: set data_root or MLCL_DATA_ROOT to '
                    f'the original data, such as {domain.prepared_copy.source}.'
                )
            loading = loading._replace(labelled=loading.labelled and domain.labelled)
            yield domain, loading, Compose(pipeline.transforms[: loading.steps])


def common_loading(config: Config, loadings: Sequence[Loading]) -> Loading:
    """Return how all pipelines of a config load and resize.

    Raises:
        InputError: If no pipeline can read a copy, or the pipelines need different copies.
    """
    if not loadings:
        raise InputError(
            f'No pipeline of {config.filename} begins with LoadImageFromFile, LoadRawLabel and '
            'Resize as in configs/_base_/datasets/domains_7.py: there is nothing to prepare.'
        )
    ways = list(dict.fromkeys(loading.transforms for loading in loadings))
    if len(ways) > 1:
        raise InputError(
            f'The pipelines of {config.filename} load and resize in different ways ({ways[0]} and '
            f'{ways[1]}), but a copy supports only one way: make them equal.'
        )
    return loadings[0]


def default_folder(config: Config, size: tuple[int, int]) -> Path:
    """Return the folder of the data sets followed by the size, such as ``data_640x320``.

    Raises:
        InputError: If the config has no ``data_root``.
    """
    if not config.get('data_root'):
        raise InputError(
            f'{config.filename} has no data_root, from which the folder of the copies is derived: '
            'choose a folder with --out.'
        )
    return Path('{}_{}x{}'.format(os.path.abspath(config.data_root), *size))


def open_copies(
    config: Config, domains: Sequence[DomainDataset], loading: Loading, out: Path
) -> dict[str, PreparedCopy]:
    """Return the copies of data sets, by the absolute path of the data set.

    Raises:
        InputError: If a folder contains something else.
    """
    copies: dict[str, PreparedCopy] = {}
    for source in dict.fromkeys(os.path.abspath(domain.data_root) for domain in domains):
        root = out / folder_name(config, source)
        owner = next((each.source for each in copies.values() if each.root == root), None)
        if owner is not None:
            raise InputError(
                f'{source} and {owner} would share {root}: give one of the two folders another '
                'name.'
            )
        new = PreparedCopy(root, source, loading.size, loading.transforms, {}, complete=False)
        copies[source] = PreparedCopy.read(root) or new
        check_same(copies[source], new)
    return copies


def folder_name(config: Config, source: str) -> str:
    """Return the path of a data set relative to ``data_root``; outside of it, only its name."""
    root = os.path.abspath(config.get('data_root') or os.path.dirname(source))
    inside = os.path.commonpath([root, source]) == root
    return os.path.relpath(source, root) if inside else os.path.basename(source)


def check_same(found: PreparedCopy, new: PreparedCopy) -> None:
    """Check that a folder is empty or contains a copy of the same data set at the same size.

    Raises:
        InputError: If it contains something else.
    """
    root = new.root
    if found is new and root.is_dir() and any(each.name[0] != '.' for each in root.iterdir()):
        raise InputError(f'{root} contains files but no prepared copy: choose another --out.')
    if found.source != new.source:
        raise InputError(
            f'{root} is a copy of {found.source}, not of {new.source}: choose another --out, or '
            'remove it.'
        )
    if found.transforms != new.transforms:
        raise InputError(
            f'{root} was made by {found.transforms}, but the config has {new.transforms}: choose '
            'another --out, or remove it.'
        )
