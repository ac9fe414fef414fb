"""Reading checkpoints of others: tensors and numbers, nothing that could run."""

import pickle
import types
import zipfile
from pathlib import Path
from typing import Any

import torch

from .errors import InputError, MissingFileError

# what tensors, their containers and NumPy's scalars are pickled with; torch knows its storages
ALLOWED = {
    ('collections', 'OrderedDict'),
    ('torch._utils', '_rebuild_tensor_v2'),
    ('torch._utils', '_rebuild_parameter'),
    ('numpy', 'dtype'),
    ('numpy.core.multiarray', 'scalar'),
    ('numpy._core.multiarray', 'scalar'),
    ('_codecs', 'encode'),
}


class ForbiddenError(pickle.UnpicklingError):
    """A file names something that is neither a tensor nor a number."""


class SafeUnpickler(pickle.Unpickler):
    """Finds what is allowed, and refuses all else before it is imported."""

    def find_class(self, module: str, name: str) -> Any:
        """Look up an allowed name.

        Raises:
            ForbiddenError: If it is not.
        """
        if (module, name) not in ALLOWED:
            raise ForbiddenError(f'{module}.{name}')
        return super().find_class(module, name)


def read_checkpoint(path: str | Path) -> Any:
    """Read what ``torch.save`` wrote of tensors, numbers, strings and their containers.

    ``torch.load(weights_only=True)`` is as strict, but PyTorch 2.1 has it without NumPy's scalars.

    Args:
        path (str | Path): A local file.

    Returns:
        Any: Its content, on the CPU.

    Raises:
        MissingFileError: If there is no such file.
        InputError: If it holds anything else, or is damaged.
    """
    if not Path(path).is_file():
        raise MissingFileError(f'The checkpoint {path} does not exist: correct the path.')
    try:
        if is_torchscript(path):
            raise ForbiddenError('TorchScript')
        return torch.load(path, map_location='cpu', pickle_module=SAFE_PICKLE, weights_only=False)
    except ForbiddenError as error:
        raise InputError(
            f'{path} holds {error}, which is neither a tensor nor a number and could run code: '
            'get the checkpoint from a source you trust and save its tensors alone.'
        ) from error
    # whatever a decoder may raise on bytes that it does not understand
    except Exception as error:
        raise InputError(
            f'{path} is no checkpoint of PyTorch, or is damaged ({type(error).__name__}): get it '
            'again.'
        ) from error


def is_torchscript(path: str | Path) -> bool:
    """Whether a file is a compiled module, which ``torch.load`` would hand to ``torch.jit``."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(Path(name).name == 'constants.pkl' for name in archive.namelist())


def load(file: Any, **kwargs: Any) -> Any:
    """:func:`pickle.load` with :class:`SafeUnpickler`."""
    return SafeUnpickler(file, **kwargs).load()


SAFE_PICKLE = types.SimpleNamespace(Unpickler=SafeUnpickler, load=load, __name__='safe_pickle')
