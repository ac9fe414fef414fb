"""What the user can mend: errors whose message is one sentence that names the thing and the remedy.

The tools print such a message by itself; any other exception is a defect and keeps its traceback.
"""


class InputError(ValueError):
    """Data, a config or an argument cannot be used as it is."""


class MissingFileError(InputError, FileNotFoundError):
    """A file or folder that is needed is not there."""


def sentence_of(error: Exception) -> str:
    """The message of an error in one line.

    From a loader's worker, that of an InputError stands below a traceback and behind its class.
    """
    *traceback, sentence = str(error).splitlines() or ['']
    if traceback and isinstance(error, InputError):
        return sentence.partition(': ')[2]
    return ' '.join(str(error).split())
