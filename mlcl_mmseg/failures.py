"""Jobs of many files: the rest is finished, and what failed is listed at the end."""

import errno
import sys
from collections.abc import Sequence

from .errors import InputError, sentence_of

# the largest number of failures that are listed
LISTED = 20
# errors of the file system that concern the name of one file; others, such as a full disk, would
# fail all files after it as well
OF_ONE_FILE = (errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR)


def is_of_one_file(error: InputError) -> bool:
    """Whether an error of writing concerns one file only, so that the other files can go on."""
    return getattr(error.__cause__, 'errno', None) in OF_ONE_FILE


def raise_failures(failures: Sequence[InputError], total: int, things: str, remedy: str) -> None:
    """End a job of many files with an error if some of them failed.

    The first :data:`LISTED` failures are printed to standard error, a line each.

    Args:
        failures (Sequence[InputError]): The errors, each of which names its file.
        total (int): The number of files.
        things (str): What the files are, such as 'images'.
        remedy (str): What the user can do, for the error message.

    Raises:
        InputError: If there are failures.
    """
    if not failures:
        return
    for error in failures[:LISTED]:
        print(sentence_of(error), file=sys.stderr)
    if len(failures) > LISTED:
        print(f'and {len(failures) - LISTED} more', file=sys.stderr)
    raise InputError(f'{len(failures)} of {total} {things} failed, as listed above: {remedy}.')
