"""Errors that the user can fix.

Their message is one sentence that names the thing and the remedy. The tools print only this
message. Any other exception is a bug in the program and is shown with its traceback.
"""


class InputError(ValueError):
    """Data, a config or an argument cannot be used."""

    def __str__(self) -> str:
        """The message, in one line that can be printed.

        An error that was raised in a worker process of a loader has its message in the last line,
        after a traceback and the name of its class.
        """
        text = super().__str__()
        if text.startswith('Caught '):
            text = text.rstrip().splitlines()[-1].partition(': ')[2]
        return printable(text)


class MissingFileError(InputError, FileNotFoundError):
    """A required file or folder does not exist."""


def printable(text: object) -> str:
    r"""Replace characters that cannot be printed by escapes such as ``\n``.

    Names of files may contain any character: line breaks, commands for the terminal and, as
    surrogates, bytes that are not UTF-8.

    Args:
        text (object): A path, or a text that contains one.
    """
    return ''.join(
        each if each.isprintable() else each.encode('unicode_escape').decode() for each in str(text)
    )


def sentence_of(error: Exception) -> str:
    """The message of an error of any kind in one line."""
    return str(error) if isinstance(error, InputError) else printable(' '.join(str(error).split()))
