"""Errors that the user can fix.

Their message is one sentence that names the thing and the remedy. The tools print only this
message. Any other exception is a bug in the program and is shown with its traceback.
"""


class InputError(ValueError):
    """Data, a config or an argument cannot be used."""


class MissingFileError(InputError, FileNotFoundError):
    """A required file or folder does not exist."""
