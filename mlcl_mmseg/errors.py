"""Errors that the user can fix.

Their message is one sentence that names the thing and the remedy. The tools print only this
message. Any other exception is a bug in the program and is shown with its traceback.
"""


class InputError(ValueError):
    """Data, a config or an argument cannot be used."""


class MissingFileError(InputError, FileNotFoundError):
    """A required file or folder does not exist."""


def sentence_of(error: Exception) -> str:
    """The message of an error in one line.

    An InputError that was raised in a worker process of a loader has its message in the last line,
    after a traceback and the name of its class.
    """
    *traceback, sentence = str(error).splitlines() or ['']
    if traceback and isinstance(error, InputError):
        return sentence.partition(': ')[2]
    return ' '.join(str(error).split())
