"""What the user can mend: errors whose message is one sentence that names the thing and the remedy.

The tools print such a message by itself; any other exception is a defect and keeps its traceback.
"""


class InputError(ValueError):
    """Data, a config or an argument cannot be used as it is."""


class MissingFileError(InputError, FileNotFoundError):
    """A file or folder that is needed is not there."""
