"""Safe loading of checkpoints: only tensors and plain values are accepted, never code."""

import contextlib
import os
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.runner import CheckpointLoader

from .checkpoint_record import META, STATE_DICT, record_of
from .errors import InputError, MissingFileError
from .untrusted_files import check_regular_file

# the dtypes of NumPy scalars that a checkpoint may contain
SCALARS = [np.dtype(name) for name in ('f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'bool')]


def numpy_scalars() -> contextlib.AbstractContextManager:
    """Make PyTorch's safe reader accept NumPy's scalars; PyTorch 2.1 has no option for this."""
    if not hasattr(torch.serialization, 'safe_globals'):
        return contextlib.nullcontext()
    scalar = np.float64(0).__reduce__()[0]
    # NumPy 1 and 2 pickle it under different names
    names = ('numpy.core.multiarray.scalar', 'numpy._core.multiarray.scalar')
    return torch.serialization.safe_globals(
        [*((scalar, name) for name in names), np.dtype, *map(type, SCALARS)]
    )


def read_checkpoint(path: str | Path) -> Any:
    """Read a file that ``torch.save`` wrote, with tensors, numbers, strings and their containers.

    Args:
        path (str | Path): A local file.

    Returns:
        Any: The content of the file, on the CPU.

    Raises:
        MissingFileError: If the file does not exist.
        InputError: If the file is damaged or contains other objects.
    """
    if not os.path.exists(path):
        raise MissingFileError(f'The checkpoint {path} does not exist: correct the path.')
    check_regular_file(path, 'correct the path')
    try:
        if is_torchscript(path):
            raise UnpicklingError('a compiled module')
        if zipfile.is_zipfile(path):
            check_archive(path)
        with numpy_scalars():
            return torch.load(path, map_location='cpu', weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise InputError(refusal(path, error)) from error
    # decoders raise many types of exceptions for bytes in an unknown format
    except Exception as error:
        raise InputError(
            f'{path} is damaged or not a checkpoint of PyTorch ({type(error).__name__}): download '
            'or copy it again.'
        ) from error


def check_archive(path: str | Path) -> None:
    """Check the entries of a file, whose checksums PyTorch's reader does not verify.

    Raises:
        EOFError: If a checksum is wrong.
        UnpicklingError: If an entry is compressed, which PyTorch never does: a small file could
            then become larger than the memory.
    """
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED:
                raise UnpicklingError(f'{entry.filename} is compressed')
        if torn := archive.testzip():
            raise EOFError(f'the checksum of {torn} is wrong')


def is_torchscript(path: str | Path) -> bool:
    """Whether a file is a compiled module, which PyTorch 2.1 would load by ``torch.jit``.

    Like PyTorch, this checks the first bytes and uses PyTorch's reader, since Python's zipfile may
    find another archive in the same file.
    """
    with open(path, 'rb') as file:
        if file.read(4) != b'PK\x03\x04':
            return False
    return 'constants.pkl' in torch._C.PyTorchFileReader(str(path)).get_all_records()


def refusal(path: str | Path, error: Exception) -> str:
    """Return the error message for a file that PyTorch's safe reader refuses."""
    reason = (str(error) or type(error).__name__).splitlines()[0]
    if 'multiarray.scalar' in str(error):
        return (
            f'{path} contains NumPy scalars, which PyTorch {torch.__version__} cannot read safely: '
            'convert it with PyTorch 2.6 or newer.'
        )
    return (
        f'{path} is damaged, not a checkpoint of PyTorch, or contains other objects than tensors '
        f'and numbers ({reason[:100]}): download it again from a source that you trust.'
    )


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Load a local file for MMEngine by :func:`read_checkpoint`, on the CPU, and check its form.

    Raises:
        InputError: If it cannot be read, or is not a dictionary that MMEngine understands.
    """
    path = Path(filename).expanduser()
    content = read_checkpoint(path)
    # ImageNet weights of other packages, whose loaders know their form
    if is_nested(content):
        return content
    record = record_of(content, path)
    others = content if STATE_DICT in content else {}
    return {**others, STATE_DICT: record.state_dict, META: record.meta}


def is_nested(content: Any) -> bool:
    """Whether this is a dictionary of named dictionaries, but not a checkpoint of MMEngine."""
    return (
        isinstance(content, dict)
        and STATE_DICT not in content
        and all(isinstance(name, str) for name in content)
        and any(isinstance(value, dict) for value in content.values())
    )


def refuse_remote(filename: str, map_location: Any = None) -> Any:
    """Refuse a remote file for MMEngine, which would unpickle it without checks.

    Raises:
        InputError: Always.
    """
    raise InputError(
        f'{filename} is not a local file: download it and give its path, so that it is read safely.'
    )


def use_safe_loading() -> None:
    """Make MMEngine read checkpoints by :func:`read_checkpoint`, and only from local files.

    MMEngine's own readers fall back to unpickling arbitrary objects.
    """
    for prefix in list(CheckpointLoader._schemes):
        loader = refuse_remote if prefix else load_from_local
        CheckpointLoader.register_scheme(prefix, loader, force=True)
