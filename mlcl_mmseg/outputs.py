"""The rule for files that tools write: nothing is replaced without being asked, and no input."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from .errors import InputError


def add_overwrite(parser: argparse._ActionsContainer) -> None:
    """Add the argument without which no existing file is replaced."""
    parser.add_argument('--overwrite', action='store_true', help='replace existing files')


def check_outputs(
    paths: Iterable[str | Path],
    inputs: Iterable[str | Path] = (),
    overwrite: bool = False,
    option: str = '--out',
    other: str = '',
) -> None:
    """Refuse outputs that exist, before anything is computed.

    Args:
        paths (Iterable[str | Path]): The files to write. A link counts as an existing file, also a
            broken one.
        inputs (Iterable[str | Path]): Files that are read, which are never replaced.
        overwrite (bool): Whether other existing files may be replaced.
        option (str): The argument that names the output, for the error message.
        other (str): Another way out, for the error message, such as ' or --skip-existing'.

    Raises:
        InputError: If an output is an input, or exists and may not be replaced.
    """
    existing = [path for path in paths if os.path.lexists(path)]
    sources = {os.path.realpath(source) for source in inputs}
    for path in existing:
        if os.path.realpath(path) in sources:
            raise InputError(
                f'{path} is an input and would be overwritten: choose another {option}.'
            )
    if existing and not overwrite:
        exist = f'and {len(existing) - 1} more exist' if len(existing) > 1 else 'exists'
        raise InputError(
            f'{existing[0]} {exist} already: choose another {option}, or use --overwrite{other}.'
        )
