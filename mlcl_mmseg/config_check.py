"""Comparison of a config's keys and values with the signatures that they are passed to."""

import difflib
import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any

import mmseg.registry
from mmengine.config import Config
from mmengine.registry import FUNCTIONS, Registry
from mmengine.runner import LogProcessor, Runner, set_random_seed
from mmseg.utils import register_all_modules
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import to_json
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .errors import InputError

# classes and functions to which Runner passes a dict without a type
TAKERS: dict[str, Callable] = {
    '': Runner,
    **{f'{part}_dataloader': DataLoader for part in ('train', 'val', 'test')},
    'log_processor': LogProcessor,
    'randomness': set_random_seed,
}
# the setting that names the config of the previous stage, and its old name
STAGE_BEFORE, OLD_STAGE_BEFORE = 'stage_before', 'warmup'
# settings that MMEngine reads in addition to the parameters of Runner
OTHER_SETTINGS = (
    *('model_wrapper_cfg', 'custom_imports', 'sync_bn', 'find_unused_parameters'),
    *('activation_checkpointing', 'efficient_conv_bn_eval', 'compile'),
)
# variables that MMSegmentation reads for prediction
READ_LATER = ('test_pipeline', 'tta_pipeline', 'tta_model')
# keywords that registries and the builders of optimisers and norms consume themselves
TAKEN_BEFORE = ('type', '_scope_', 'constructor', 'paramwise_cfg', 'requires_grad')
# types in numeric hints; PyTorch's hints also allow a Tensor as the learning rate
NUMBERS = (int, float, bool, types.NoneType, Tensor, ...)


def check_config(config: Config | dict) -> None:
    """Refuse unknown keys, unknown types and values of a wrong type in a config.

    Only certain mistakes are refused. Type hints of this package are checked strictly. Other
    packages accept more than their hints say: ``CheckpointHook(greater_keys: Sequence[str])``, for
    example, also accepts a str. Of their hints, only those of numbers are checked, except for the
    parameters of :class:`Runner` and of the classes to which it passes a dict without a type.

    Args:
        config (Config | dict): The config, including settings from the command line.

    Raises:
        InputError: At the first unknown key or type, or value of a wrong type.
    """
    for name in (STAGE_BEFORE, OLD_STAGE_BEFORE):
        if not isinstance(config.get(name), str | None):
            raise InputError(
                f'{name} is {config[name]!r}: set it to the file of the config of the previous '
                'stage, or to None to train no previous stage.'
            )
    check_complete(config)
    known = known_settings() | {*READ_LATER}
    for key in sorted(config.keys() - known):
        # any other name may be a variable
        if meant := next((each for each in known if is_slip(key, each)), None):
            raise InputError(f'{key} is no setting, did you mean {meant}?')
    settings = {key: value for key, value in config.items() if key in known}
    check_value(settings, '', registered_classes())


def check_complete(config: Config | dict) -> None:
    """Refuse an incomplete group of the settings for training, validation or testing.

    Args:
        config (Config | dict): The config.

    Raises:
        InputError: If some settings of a group are None and others are not.
    """
    for part, third in (('train', 'optim_wrapper'), ('val', None), ('test', None)):
        names = f'{part}_dataloader', f'{part}_cfg', third or f'{part}_evaluator'
        given = [name for name in names if config.get(name) is not None]
        missing = [name for name in names if name in config and name not in given]
        if given and missing:
            raise InputError(
                f'{missing[0]} is None, but {given[0]} is not: set all or none of '
                f'{", ".join(names)}.'
            )


def known_settings() -> set[str]:
    """Return the known settings at the top level of a config; other names are variables."""
    return {*parameters_of(Runner)[0], *OTHER_SETTINGS, STAGE_BEFORE, OLD_STAGE_BEFORE}


def is_slip(name: str, meant: str) -> bool:
    """Whether one letter is missing, added or changed, or two adjacent letters are swapped."""

    def shorter(word: str) -> set[str]:
        return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}

    # model2 is a second model, not a misspelling of model
    return not name[-1].isdigit() and not shorter(name).isdisjoint(shorter(meant))


def registered_classes() -> dict[str, type]:
    """Return all registered classes by name; MMSegmentation's take precedence over MMEngine's."""
    register_all_modules(init_default_scope=False)
    classes: dict[str, type] = {}
    for registry in (*vars(mmseg.registry).values(), FUNCTIONS):
        if isinstance(registry, Registry):
            registry.import_from_location()
            classes |= getattr(registry.parent, 'module_dict', {}) | registry.module_dict
    return classes


def check_value(value: object, path: str, classes: dict[str, type]) -> None:
    """Check the value at a dotted path of a config, and all values below it."""
    children: Iterable[tuple] = enumerate(value) if isinstance(value, list | tuple) else ()
    if isinstance(value, Config | dict):
        children = value.items()
        name = value.get('type')
        taker = classes.get(name) if isinstance(name, str) else name or TAKERS.get(path)
        if taker is not None:
            check_settings(value, path, taker)
        # names with a package are not in these registries, nor are Albumentations' transforms
        elif (
            isinstance(name, str)
            and '.' not in name
            and '.transforms.' not in path
            and (near := nearest(name, classes))
        ):
            raise InputError(
                f'{dotted(path, "type")} is {name!r}, which is unknown, did you mean {near}?'
            )
    for key, child in children:
        check_value(child, dotted(path, key), classes)


def check_settings(settings: Config | dict, path: str, taker: Callable) -> None:
    """Compare the settings in a dict with the parameters of a class or function.

    Args:
        settings (Config | dict): The settings.
        path (str): Dotted path of the settings in the config.
        taker (Callable): The class or function to which the settings are passed.

    Raises:
        InputError: If a setting has a wrong type or is not a parameter.
    """
    hints, knows_all = parameters_of(taker)
    for key, value in settings.items():
        if key == 'default_hooks' and isinstance(value, dict):
            # None disables a hook
            value = {name: hook for name, hook in value.items() if hook is not None}
        hint = hints.get(key)
        if hint is not None and not fits(value, hint):
            raise InputError(
                f'{dotted(path, key)} is {value!r}, but {taker.__name__} takes '
                f'{inspect.formatannotation(hint)}: correct the config or --cfg-options.'
            )
        if knows_all and key not in hints and key not in TAKEN_BEFORE:
            near = nearest(key, hints)
            remedy = f'did you mean {near}?' if near else 'remove it.'
            raise InputError(f'{dotted(path, key)} is no parameter of {taker.__name__}, {remedy}')


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the most similar known name; None if no name is similar."""
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)


def dotted(path: str, key: str | int) -> str:
    """Append a key to a dotted path."""
    return f'{path}.{key}' if path else str(key)


def is_ours(taker: Callable) -> bool:
    """Whether a class or function is defined in this package."""
    return taker.__module__.split('.')[0] == __package__


def parameters_of(taker: Callable) -> tuple[dict[str, object], bool]:
    """Return the parameters of a function, or of a class.

    If a constructor has ``**kwargs``, the parameters of the next base class are added.

    Args:
        taker (Callable): The class or function.

    Returns:
        tuple[dict[str, object], bool]: The type hint of each parameter by name, None if values are
        not checked; and whether every other keyword is a mistake.
    """
    hints: dict[str, object] = {}
    takes_any = True
    constructors = [vars(base).get('__init__') for base in getattr(taker, '__mro__', ())]
    for function in filter(inspect.isfunction, constructors or [taker]):
        parameters = inspect.signature(function).parameters
        for name, parameter in parameters.items():
            hint = resolve(parameter.annotation, function)
            if not (is_ours(function) or taker in TAKERS.values()):
                # other packages often accept None too, and a float where the hint is int
                hint = hint | float | None if is_numeric(hint) else None
            hints.setdefault(name, hint)
        takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        if not takes_any:
            break
    # builders of modules consume some keywords before they call the constructor
    builds = inspect.isclass(taker) and issubclass(taker, nn.Module | Runner)
    return hints, is_ours(taker) or not (takes_any or builds)


def resolve(annotation: object, function: Callable) -> object:
    """Evaluate the annotation of a function's parameter; None if it has no usable type hint."""
    if annotation is inspect.Parameter.empty:
        return None
    holder = types.SimpleNamespace(__annotations__=dict(hint=annotation))
    try:
        return typing.get_type_hints(holder, function.__globals__)['hint']
    except NameError:
        # DataLoader imports some types of its hints for type checkers only, so that annotations
        # must be evaluated one by one
        return None


def is_numeric(hint: object) -> bool:
    """Whether a hint consists only of number types, bool and None."""
    arguments = typing.get_args(hint)
    return all(map(is_numeric, arguments)) if arguments else hint in NUMBERS


def fits(value: object, hint: object) -> bool:
    """Whether a value fits a hint, compared as JSON, where lists and tuples are the same.

    A dict with a ``type`` always fits, since the object that is built from it has another type.
    """
    if isinstance(value, dict) and 'type' in value:
        return True
    try:
        adapter(hint).validate_json(
            to_json(value, inf_nan_mode='constants', fallback=repr), strict=True
        )
    except ValidationError:
        return False
    return True


@functools.cache
def adapter(hint: Any) -> TypeAdapter:
    """Return the validator of a hint, cached since it is slow to build."""
    return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
