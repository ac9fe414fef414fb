"""Read JSON files as records of a declared form."""

import json
import math
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from .errors import InputError
from .untrusted_files import REPLACE, read_file

# in bytes; the largest known record, a manifest of 100 000 prepared images, has 10 MB
LARGEST = 256 * 2**20
# levels of values in values
DEEPEST = 100

# a whole number that is not a boolean
Count = Annotated[int, Field(strict=True, ge=0, lt=2**63)]

T = TypeVar('T')


def read_record(
    path: str | Path, form: type[T], remedy: str = REPLACE, allow_nan: bool = False
) -> T:
    """Read a JSON file and check its form.

    Args:
        path (str | Path): The file.
        form (type): A type that pydantic validates: a model, a dataclass, or a dictionary such as
            ``dict[str, str]``.
        remedy (str): What the user can do if the file cannot be used, for the error message.
        allow_nan (bool): See :func:`parse_record`.

    Returns:
        Any: A value of this type.

    Raises:
        MissingFileError: If the file does not exist.
        InputError: If it is not a regular file, is too large, or is not JSON of this form. The
            message names the first value that is wrong.
    """
    content = read_file(path, LARGEST, remedy)
    try:
        return parse_record(content, form, allow_nan)
    except ValueError as error:
        raise InputError(f'{path} is damaged ({error}): {remedy}.') from error


def parse_record(content: bytes | str, form: type[T], allow_nan: bool = False) -> T:
    """Parse a JSON document and check its form.

    Args:
        content (bytes | str): The document.
        form (type): See :func:`read_record`.
        allow_nan (bool): Whether NaN and Infinity are numbers, as in Python's JSON files.

    Raises:
        ValueError: If it is not JSON of this form; the message says what is wrong.
    """
    try:
        value = json.loads(
            content,
            parse_constant=float if allow_nan else refuse_constant,
            parse_float=finite_number,
            parse_int=small_integer,
        )
    except RecursionError as error:
        raise ValueError('its values are nested too deeply') from error
    except UnicodeDecodeError as error:
        raise ValueError('it is not UTF-8') from error
    check_depth(value)
    return check_form(value, form)


def check_depth(value: Any) -> None:
    """Refuse values that are nested so deeply that functions that visit all of them would fail.

    Raises:
        ValueError: If there are more than :data:`DEEPEST` levels.
    """
    level = [value]
    for _ in range(DEEPEST):
        values = [each for each in level if isinstance(each, dict | list)]
        level = [
            inner
            for each in values
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return
    raise ValueError('its values are nested too deeply')


def check_form(value: Any, form: type[T]) -> T:
    """Check a value of plain Python types, such as a decoded JSON document.

    Args:
        value (Any): The value.
        form (type): See :func:`read_record`.

    Raises:
        ValueError: If it has another form; the message names the first value that is wrong.
    """
    try:
        return TypeAdapter(form).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = '.'.join(map(str, first['loc']))
        raise ValueError(f'{place}: {first["msg"]}' if place else first['msg']) from error
    except RecursionError as error:
        raise ValueError('its values are nested too deeply') from error


def refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity, which are not JSON although Python's reader accepts them."""
    raise ValueError(f'{name} is not a JSON number')


def finite_number(text: str) -> float:
    """Parse a number of a JSON document.

    Raises:
        ValueError: If it is larger than the largest float, such as 1e400.
    """
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f'{text} is too large')
    return number


def small_integer(text: str) -> int:
    """Parse an integer of a JSON document.

    Raises:
        ValueError: If it does not fit into 64 bits.
    """
    # Python limits the number of digits that it converts
    if len(text) > 20 or abs(number := int(text)) >= 2**63:
        raise ValueError(f'{text[:20]} is too large')
    return number
