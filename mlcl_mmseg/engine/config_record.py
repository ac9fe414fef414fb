"""The config of a run as data, so that the report reads it without running it.

A config is Python code. JSON lacks some of its values, which are stored as objects with one of the
keys ``__tuple__``, ``__items__`` (a dictionary whose keys are not strings) and ``__text__`` (the
name of a class or function, or the text of any other object).
"""

import importlib
import inspect
import json
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from mmcv.transforms import TRANSFORMS
from mmengine.config import Config
from mmengine.registry import Registry

from ..durable_files import write_durably
from ..errors import InputError
from ..json_records import read_record

CONFIG = 'config.json'
REMEDY = 'write it with tools/print_config.py CONFIG --json FILE'
TUPLE, ITEMS, TEXT = '__tuple__', '__items__', '__text__'
# packages whose registries a type may name, as in 'mmpretrain.ResNet'
SCOPES = ('mmengine', 'mmseg', 'mmpretrain')


def write_config(config: Config, path: str | Path) -> None:
    """Write the config of a run as JSON.

    Args:
        config (Config): The complete config.
        path (str | Path): The file.

    Raises:
        InputError: If the file cannot be written.
    """
    text = json.dumps(encode({key: config[key] for key in config}), indent=1) + '\n'
    write_durably(path, text.encode())


def read_config(path: str | Path) -> Config:
    """Read a file of :func:`write_config`.

    Args:
        path (str | Path): The file.

    Raises:
        MissingFileError: If the file does not exist.
        InputError: If it is damaged, is not the config of a training, or names a type of a model
            or data set that is not registered.
    """
    content = read_record(path, dict[str, Any], REMEDY)
    try:
        config = Config(decode(content))
        # what the report builds
        parts = [config.model, *(config[name].dataset for name in loaders(config))]
        types = sorted({name for part in parts for name in types_in(part)})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f'{path} is not the config of a training ({error}): {REMEDY}.') from error
    for name in types:
        if not is_registered(name):
            raise InputError(
                f'{path} has the type {name!r}, which is not registered: pass --imports with the '
                'Python module that registers it.'
            )
    return config


def loaders(config: Config) -> list[str]:
    """The names of the loaders of a config. The training loader is required."""
    return ['train_dataloader', *(['val_dataloader'] if config.get('val_dataloader') else [])]


def types_in(part: Any) -> Iterator[Any]:
    """Yield every ``type`` in a part of a config."""
    if isinstance(part, dict):
        if 'type' in part:
            yield part['type']
        part = list(part.values())
    if isinstance(part, list | tuple):
        for value in part:
            yield from types_in(value)


def is_registered(name: Any) -> bool:
    """Whether a type is in a registry of MMEngine, MMSegmentation or MMPretraining.

    MMEngine would import any other name, such as 'os.system', and call what it finds. A class may
    be named with its scope, as in 'mmpretrain.ResNet', or with its module.
    """
    scope, _, last = str(name).rpartition('.')
    found = [each.module_dict[last] for each in registries() if last in each.module_dict]
    places = {'', *SCOPES, *(getattr(each, '__module__', '') for each in found)}
    return bool(found) and scope in places


@cache
def registries() -> list[Registry]:
    """The registries of models, data sets and transforms, filled."""
    found = []
    for scope in SCOPES:
        try:
            module = importlib.import_module(f'{scope}.registry')
        except ModuleNotFoundError:
            # MMPretraining is needed only for its backbones
            continue
        importlib.import_module(f'{scope}.models' if scope != 'mmengine' else scope)
        found += [each for each in vars(module).values() if isinstance(each, Registry)]
    return [*found, TRANSFORMS]


def encode(value: Any) -> Any:
    """Convert a value of a config to JSON values."""
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {key: encode(each) for key, each in value.items()}
        return {ITEMS: [[encode(key), encode(each)] for key, each in value.items()]}
    if isinstance(value, tuple):
        return {TUPLE: [encode(each) for each in value]}
    if isinstance(value, list):
        return [encode(each) for each in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if inspect.isclass(value) or inspect.isroutine(value):
        return {TEXT: value.__name__}
    return {TEXT: str(value)}


def decode(value: Any) -> Any:
    """Convert the result of :func:`encode` back, except that objects become their texts.

    Raises:
        ValueError: If the value is not a result of :func:`encode`.
    """
    if isinstance(value, list):
        return [decode(each) for each in value]
    if not isinstance(value, dict):
        return value
    if TUPLE in value:
        return tuple(decode(value[TUPLE]))
    if ITEMS in value:
        return {decode(key): decode(each) for key, each in value[ITEMS]}
    return value[TEXT] if TEXT in value else {key: decode(each) for key, each in value.items()}
