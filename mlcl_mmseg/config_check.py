"""Compare the keys and values of a config with the signatures of what takes them."""

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

# what Runner hands a dict to that names no type
TAKERS: dict[str, Callable] = {
    '': Runner,
    **{f'{part}_dataloader': DataLoader for part in ('train', 'val', 'test')},
    'log_processor': LogProcessor,
    'randomness': set_random_seed,
}
# settings that name the config of the stage before; the second is the old name
STAGE_BEFORE = ('stage_before', 'warmup')
# settings that MMEngine reads beside the parameters of Runner
OTHER_SETTINGS = (
    *('model_wrapper_cfg', 'custom_imports', 'sync_bn', 'find_unused_parameters'),
    *('activation_checkpointing', 'efficient_conv_bn_eval', 'compile'),
)
# variables that MMSegmentation reads when it predicts
READ_LATER = ('test_pipeline', 'tta_pipeline', 'tta_model')
# keywords that registries and the builders of optimisers and norms take for themselves
TAKEN_BEFORE = ('type', '_scope_', 'constructor', 'paramwise_cfg', 'requires_grad')
# PyTorch's hints let a learning rate be a Tensor
NUMBERS = (int, float, bool, types.NoneType, Tensor, ...)


def check_config(config: Config | dict) -> None:
    """Refuse what no class can take: an unknown key or type, or a value of a wrong type.

    Only what is certain is refused. Hints of this package are strict. Other packages take more than
    their hints say, such as ``CheckpointHook(greater_keys: Sequence[str])`` a str: of theirs only
    hints of numbers are compared, except for what :class:`Runner` takes itself.

    Args:
        config (Config | dict): The config, with what the command line sets.

    Raises:
        InputError: At the first such value, type or key.
    """
    for name in STAGE_BEFORE:
        if not isinstance(config.get(name), str | None):
            raise InputError(
                f'{name} is {config[name]!r}, but it names a config: give its file, or None to '
                'train no stage before.'
            )
    check_complete(config)
    known = known_settings() | {*READ_LATER}
    for key in sorted(config.keys() - known):
        # any other name may be that of a variable
        if meant := next((each for each in known if is_slip(key, each)), None):
            raise InputError(f'{key} is no setting, did you mean {meant}?')
    settings = {key: value for key, value in config.items() if key in known}
    check_value(settings, '', registered_classes())


def check_complete(config: Config | dict) -> None:
    """Refuse to train, validate or test with only some of the settings that this needs.

    Raises:
        InputError: If one of the settings that belong together is None and another is not.
    """
    for part, third in (('train', 'optim_wrapper'), ('val', None), ('test', None)):
        names = f'{part}_dataloader', f'{part}_cfg', third or f'{part}_evaluator'
        given = [name for name in names if config.get(name) is not None]
        missing = [name for name in names if name in config and name not in given]
        if given and missing:
            raise InputError(
                f'{missing[0]} is None, but {given[0]} is not: give all or none of '
                f'{", ".join(names)}.'
            )


def known_settings() -> set[str]:
    """The settings at the top level of a config; every other name there is a variable."""
    return {*parameters_of(Runner)[0], *OTHER_SETTINGS, *STAGE_BEFORE}


def is_slip(name: str, meant: str) -> bool:
    """Whether one letter is missing, added or changed, or two neighbours are exchanged."""

    def shorter(word: str) -> set[str]:
        return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}

    # model2 is a second model
    return not name[-1].isdigit() and not shorter(name).isdisjoint(shorter(meant))


def registered_classes() -> dict[str, type]:
    """Everything that a type in a config may name; MMSegmentation's come before MMEngine's."""
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
        # a package names its own, and so does Albumentations below the transforms of Albu
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
    """Compare the settings in a dict with the parameters of the class or function that takes them.

    Raises:
        InputError: If one has a wrong type or is no parameter.
    """
    hints, knows_all = parameters_of(taker)
    for key, value in settings.items():
        if key == 'default_hooks' and isinstance(value, dict):
            # None leaves a hook out
            value = {name: hook for name, hook in value.items() if hook is not None}
        hint = hints.get(key)
        if hint is not None and not fits(value, hint):
            raise InputError(
                f'{dotted(path, key)} is {value!r}, but {taker.__name__} takes '
                f'{inspect.formatannotation(hint)}: correct the config or --cfg-options.'
            )
        if knows_all and key not in hints and key not in TAKEN_BEFORE:
            near = nearest(key, hints)
            remedy = f'did you mean {near}?' if near else 'leave it out.'
            raise InputError(f'{dotted(path, key)} is no parameter of {taker.__name__}, {remedy}')


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is nearest to one, None if none is near."""
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)


def dotted(path: str, key: str | int) -> str:
    """The path of what a key leads to."""
    return f'{path}.{key}' if path else str(key)


def is_ours(taker: Callable) -> bool:
    """Whether a class or function is defined in this package."""
    return taker.__module__.split('.')[0] == __package__


def parameters_of(taker: Callable) -> tuple[dict[str, object], bool]:
    """The parameters of a function or a constructor; ``**kwargs`` go to that of the next base.

    Returns:
        tuple[dict[str, object], bool]: By name, the hint to compare values with, None if there is
        none; and whether every other keyword is a mistake.
    """
    hints: dict[str, object] = {}
    takes_any = True
    constructors = [vars(base).get('__init__') for base in getattr(taker, '__mro__', ())]
    for function in filter(inspect.isfunction, constructors or [taker]):
        parameters = inspect.signature(function).parameters
        for name, parameter in parameters.items():
            hint = resolve(parameter.annotation, function)
            if not (is_ours(function) or taker in TAKERS.values()):
                # they often mean None too, and a float where they say int
                hint = hint | float | None if is_numeric(hint) else None
            hints.setdefault(name, hint)
        takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        if not takes_any:
            break
    # builders of modules take keywords before the constructor does
    builds = inspect.isclass(taker) and issubclass(taker, nn.Module | Runner)
    return hints, is_ours(taker) or not (takes_any or builds)


def resolve(annotation: object, function: Callable) -> object:
    """The hint that an annotation of a function's parameter stands for; None if there is none."""
    if annotation is inspect.Parameter.empty:
        return None
    holder = types.SimpleNamespace(__annotations__=dict(hint=annotation))
    try:
        return typing.get_type_hints(holder, function.__globals__)['hint']
    except NameError:
        # one at a time, as DataLoader imports what some of its hints name for type checkers only
        return None


def is_numeric(hint: object) -> bool:
    """Whether a hint consists of numbers, bool and None alone."""
    arguments = typing.get_args(hint)
    return all(map(is_numeric, arguments)) if arguments else hint in NUMBERS


def fits(value: object, hint: object) -> bool:
    """Whether a value fits a hint, compared as JSON, where a list is a tuple too.

    A dict that names a type fits, as the object that is built from it has another type.
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
    """The comparison with a hint, which takes long to make."""
    return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
