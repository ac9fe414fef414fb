"""Reading checkpoints of others: tensors and numbers, nothing that could run."""

import contextlib
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.runner import CheckpointLoader

from .errors import InputError, MissingFileError

# one of each kind of number that NumPy may have left in a checkpoint
SCALARS = [np.dtype(name) for name in ('f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'bool')]


def numpy_scalars() -> contextlib.AbstractContextManager:
    """Let PyTorch's safe reader take NumPy's scalars; PyTorch 2.1 cannot be told to."""
    if not hasattr(torch.serialization, 'safe_globals'):
        return contextlib.nullcontext()
    scalar = np.float64(0).__reduce__()[0]
    # NumPy 1 and 2 pickle it under different names
    names = ('numpy.core.multiarray.scalar', 'numpy._core.multiarray.scalar')
    return torch.serialization.safe_globals(
        [*((scalar, name) for name in names), np.dtype, *map(type, SCALARS)]
    )


def read_checkpoint(path: str | Path) -> Any:
    """Read what ``torch.save`` wrote of tensors, numbers, strings and their containers.

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
            raise UnpicklingError('a compiled module')
        # PyTorch's reader does not look at the checksums that it writes
        if zipfile.is_zipfile(path) and (torn := zipfile.ZipFile(path).testzip()):
            raise EOFError(f'the checksum of {torn} is wrong')
        with numpy_scalars():
            return torch.load(path, map_location='cpu', weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise InputError(refusal(path, error)) from error
    # whatever else a decoder may raise on bytes that it does not understand
    except Exception as error:
        raise InputError(
            f'{path} is damaged or no checkpoint of PyTorch ({type(error).__name__}): get it again.'
        ) from error


def is_torchscript(path: str | Path) -> bool:
    """Whether a file is a compiled module, which PyTorch 2.1 would load by ``torch.jit``.

    PyTorch goes by the first bytes and its own reader; Python's zipfile may see another archive.
    """
    with open(path, 'rb') as file:
        if file.read(4) != b'PK\x03\x04':
            return False
    return 'constants.pkl' in torch._C.PyTorchFileReader(str(path)).get_all_records()


def refusal(path: str | Path, error: Exception) -> str:
    """What to say of a file that PyTorch's safe reader refuses."""
    reason = (str(error) or type(error).__name__).splitlines()[0]
    if 'multiarray.scalar' in str(error):
        return (
            f'{path} holds numbers of NumPy, which PyTorch {torch.__version__} cannot read safely: '
            'convert it with PyTorch 2.6 or newer.'
        )
    return (
        f'{path} is damaged, no checkpoint of PyTorch, or holds something else than tensors and '
        f'numbers ({reason[:100]}): get it again, from a source that you trust.'
    )


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """What MMEngine calls for a local file: :func:`read_checkpoint`, on the CPU."""
    return read_checkpoint(Path(filename).expanduser())


def refuse_remote(filename: str, map_location: Any = None) -> Any:
    """What MMEngine calls for any other place, whose files it would unpickle as they are.

    Raises:
        InputError: Always.
    """
    raise InputError(
        f'{filename} is not a local file: download it and give its path, so that it is read safely.'
    )


def use_safe_loading() -> None:
    """Let MMEngine read checkpoints by :func:`read_checkpoint`, and from local files alone.

    Its own readers fall back to unpickling anything.
    """
    for prefix in list(CheckpointLoader._schemes):
        loader = refuse_remote if prefix else load_from_local
        CheckpointLoader.register_scheme(prefix, loader, force=True)
