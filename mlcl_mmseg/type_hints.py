"""Compare values of a config with type hints, and say them in words."""

import inspect
import types
import typing
from collections.abc import Callable, Sequence

from torch import Tensor

UNIONS = (typing.Union, types.UnionType)
# PyTorch's hints let a learning rate be a Tensor
NUMBERS = (int, float, bool, types.NoneType, Tensor)
JUDGED = (*NUMBERS, str, dict, tuple, list, Sequence)


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
