"""Compare the values of a config with the type hints of what takes them."""

import difflib
import inspect
import types
import typing
from collections.abc import Callable, Sequence

import mmseg.registry
from mmengine.config import Config
from mmengine.registry import FUNCTIONS, Registry
from mmengine.runner import LogProcessor, Runner, set_random_seed
from mmseg.utils import register_all_modules
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .errors import InputError

# what takes the settings in a dict that names no type
TAKERS: dict[str, Callable] = {
    '': Runner,
    'train_dataloader': DataLoader,
    'val_dataloader': DataLoader,
    'test_dataloader': DataLoader,
    'log_processor': LogProcessor,
    'randomness': set_random_seed,
}
# settings of Runner that are given together or left out together
TOGETHER = (
    ('train_dataloader', 'train_cfg', 'optim_wrapper'),
    ('val_dataloader', 'val_cfg', 'val_evaluator'),
    ('test_dataloader', 'test_cfg', 'test_evaluator'),
)
# how near a keyword is to another, from 0 to 1, that can only be meant as that one
NEAR = 0.85
# keywords that the registry and the builders of optimisers take for themselves
TAKEN_BEFORE = ('type', '_scope_', 'constructor', 'paramwise_cfg')
UNIONS = (typing.Union, types.UnionType)
# PyTorch's hints let a learning rate be a Tensor
NUMBERS = (int, float, bool, types.NoneType, Tensor)
JUDGED = (*NUMBERS, str, dict, tuple, list, Sequence)


def check_config(config: Config | dict) -> None:
    """Refuse a value of a wrong type, an unknown type of object, or a keyword it does not take.

    Judged are hints made of int, float, bool, str, None, and dicts, sequences and unions of those.
    Other packages take more than their hints say: AmpOptimWrapper(loss_scale: str) a float,
    CheckpointHook(greater_keys: Sequence[str]) a str. Of theirs only hints of numbers are judged,
    but all of the TAKERS'. What takes any keyword refuses those that are nearly one of its own.

    Args:
        config (Config | dict): The config, with what the command line sets.

    Raises:
        InputError: At the first such value, type or keyword.
    """
    if not isinstance(config.get('warmup'), str | None):
        raise InputError(
            f'warmup is {config["warmup"]!r}, but it names a config: give its file, or None to '
            'train no warm-up.'
        )
    check_complete(config)
    register_all_modules(init_default_scope=False)
    # no two kinds of them share a name; what MMSegmentation has comes before MMEngine's
    classes = {}
    for registry in (*vars(mmseg.registry).values(), FUNCTIONS):
        if isinstance(registry, Registry):
            registry.import_from_location()
            classes |= getattr(registry.parent, 'module_dict', {}) | registry.module_dict
    settings = {key: value for key, value in config.items() if key in hints_of(Runner)[0]}
    # all else at the top level are variables
    check_value(settings, '', classes)


def check_complete(config: Config | dict) -> None:
    """Refuse to train, validate or test with a part of what that needs.

    Raises:
        InputError: If one of the settings that belong together is None and another is not.
    """
    for names in TOGETHER:
        given = [name for name in names if config.get(name) is not None]
        missing = [name for name in names if name in config and name not in given]
        if given and missing:
            raise InputError(
                f'{missing[0]} is None, but {given[0]} is not: give all or none of '
                f'{", ".join(names)}.'
            )


def check_value(value: object, path: str, classes: dict[str, type]) -> None:
    """Check what lies at a dotted path of a config, and all below it."""
    children = enumerate(value) if isinstance(value, list | tuple) else ()
    if isinstance(value, Config | dict):
        children = value.items()
        name = value.get('type')
        taker = classes.get(name) if isinstance(name, str) else TAKERS.get(path)
        if taker is None and isinstance(name, str) and '.' not in name:
            check_type(name, path, classes)
        if taker is not None:
            check_settings(value, path, taker)
    for key, child in children:
        check_value(child, dotted(path, key), classes)


def check_type(name: str, path: str, classes: dict[str, type]) -> None:
    """Refuse an unknown type that is nearly a known one; Albumentations, say, has others.

    Raises:
        InputError: If it is.
    """
    if near := difflib.get_close_matches(name, classes, n=1, cutoff=NEAR):
        raise InputError(
            f'{dotted(path, "type")} is {name!r}, which is unknown, did you mean {near[0]}?'
        )


def check_settings(settings: Config | dict, path: str, taker: Callable) -> None:
    """Compare the settings in a dict with the parameters of the class or function that takes them.

    Raises:
        InputError: If one has a wrong type, or is no parameter of a class of this package.
    """
    hints, takes_any = hints_of(taker)
    for key, value in settings.items():
        if key in hints and not matches(value, *hints[key]):
            raise InputError(
                f'{dotted(path, key)} is {value!r}, but {taker.__name__} takes '
                f'{describe(hints[key][0])}: correct the config or --cfg-options.'
            )
        if key in (*hints, *TAKEN_BEFORE) or not knows_its_keywords(taker):
            continue
        near = difflib.get_close_matches(key, hints, n=1, cutoff=NEAR if takes_any else 0.6)
        if near or not takes_any:
            remedy = f'did you mean {near[0]}?' if near else 'leave it out.'
            raise InputError(f'{dotted(path, key)} is no parameter of {taker.__name__}, {remedy}')


def dotted(path: str, key: str | int) -> str:
    """The path of what a key leads to."""
    return f'{path}.{key}' if path else str(key)


def is_ours(taker: Callable) -> bool:
    """Whether a class or function is of this package."""
    return taker.__module__.split('.')[0] == __package__


def knows_its_keywords(taker: Callable) -> bool:
    """Whether an unknown keyword is a mistake; builders of others' modules take some themselves."""
    is_module = inspect.isclass(taker) and issubclass(taker, nn.Module)
    return is_ours(taker) or not (taker is Runner or is_module)


def hints_of(taker: Callable) -> tuple[dict[str, tuple[object, bool]], bool]:
    """What a function or a constructor takes; ``**kwargs`` go to the constructor of the next base.

    Returns:
        tuple[dict[str, tuple[object, bool]], bool]: By name, a hint and whether it is strict; a
        hint that is not judged is None. And whether there are keywords without limit.
    """
    hints, takes_any = {}, True
    constructors = [vars(base).get('__init__') for base in getattr(taker, '__mro__', ())]
    for function in filter(inspect.isfunction, constructors or [taker]):
        parameters = inspect.signature(function).parameters
        for name, parameter in parameters.items():
            hint = resolve(parameter.annotation, function)
            strict = is_ours(function) or taker in TAKERS.values()
            hints.setdefault(name, (hint if strict or is_numeric(hint) else None, strict))
        takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        if not takes_any:
            break
    # some of this package hand theirs to a class that takes any
    return hints, takes_any and not is_ours(taker)


def resolve(annotation: object, function: Callable) -> object:
    """The hint that an annotation of a function's parameter stands for; None if unknown."""
    holder = types.SimpleNamespace(__annotations__=dict(hint=annotation))
    try:
        return typing.get_type_hints(holder, function.__globals__)['hint']
    except NameError:
        # one at a time, as DataLoader imports what some of its hints name for type checkers only
        return None


def is_numeric(hint: object) -> bool:
    """Whether a hint is made of numbers, bool and None alone."""
    arguments = typing.get_args(hint)
    return all(map(is_numeric, arguments)) if arguments else hint in (*NUMBERS, ...)


def matches(value: object, hint: object, strict: bool = True) -> bool:
    """Whether a value fits a hint; every value fits one that is not judged.

    A list is a tuple, an int is a float, a bool is no number. What may be given as a dict or as
    what is built from it, such as a model, is a dict in a config.

    Args:
        value (object): Of a config.
        hint (object): Resolved.
        strict (bool): If False, None fits too, and a float where an int does, as other packages
            mean it: SegDataPreProcessor(bgr_to_rgb: bool), PolyLRRatio(eta_min_ratio: int | None).
    """
    kind, arguments = kind_of(hint), typing.get_args(hint)
    if value is None and not strict:
        return True
    if kind in UNIONS:
        return any(matches(value, each, strict) for each in alternatives(hint))
    if kind is dict:
        return isinstance(value, dict) and (
            not arguments
            or all(
                matches(part, each, strict)
                for item in value.items()
                for part, each in zip(item, arguments)
            )
        )
    if kind in (tuple, list, Sequence):
        if not isinstance(value, list | tuple):
            return False
        if kind is not tuple or ... in arguments:
            arguments = arguments[:1] * len(value)
        return not arguments or (
            len(value) == len(arguments)
            and all(matches(*pair, strict) for pair in zip(value, arguments))
        )
    if kind not in JUDGED:
        return True
    if isinstance(value, bool):
        return kind is bool
    is_float = kind is float or (kind is int and not strict)
    return isinstance(value, (int, float) if is_float else kind)


def kind_of(hint: object) -> object:
    """What a hint is without its arguments."""
    return typing.get_origin(hint) or hint


def alternatives(hint: object) -> list[object]:
    """The parts of a union; beside a dict none of what may be built from one."""
    parts = typing.get_args(hint)
    is_built = dict in map(kind_of, parts)
    return [each for each in parts if kind_of(each) in JUDGED or not is_built]


def describe(hint: object) -> str:
    """A hint in words, such as 'an int or None'."""
    if kind_of(hint) in UNIONS:
        return ' or '.join(map(describe, alternatives(hint)))
    words = {int: 'an int', types.NoneType: 'None'}
    name = inspect.formatannotation(hint).replace('collections.abc.', '')
    return words.get(hint, f'a {name}')
