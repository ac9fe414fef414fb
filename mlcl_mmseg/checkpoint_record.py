"""The checked content of a checkpoint: named tensors, and what is known about them."""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .errors import InputError

STATE_DICT, META, DATASET_META = 'state_dict', 'meta', 'dataset_meta'
REMEDY = 'use a checkpoint of tools/train.py'
# dtypes of weights and counters; others, such as complex numbers, are in no network of a segmentor
DTYPES = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool, torch.uint8),
    *(torch.int8, torch.int16, torch.int32, torch.int64),
)
# last parts of the names of parameters, for checkpoints whose network is not known
PARAMETERS = ('weight', 'bias')


class CheckpointRecord(NamedTuple):
    """The checked content of a checkpoint.

    Attributes:
        state_dict (OrderedDict[str, Tensor]): Dense tensors on the CPU, by name, without the
            prefix of a module wrapper.
        meta (dict[str, Any]): What was stored beside them; if it has ``dataset_meta``, that is a
            dictionary.
    """

    state_dict: 'OrderedDict[str, Tensor]'
    meta: dict[str, Any]

    @property
    def dataset_meta(self) -> dict[str, Any]:
        """Names and colours of the classes, as they are stored; empty if there are none."""
        return self.meta.get(DATASET_META, {})


def record_of(content: Any, path: str | Path, remedy: str = REMEDY) -> CheckpointRecord:
    """Check the content of a checkpoint.

    Args:
        content (Any): What :func:`mlcl_mmseg.safe_load.read_checkpoint` returned: a dictionary with
            ``state_dict`` and maybe ``meta``, or the named tensors themselves, as users of PyTorch
            save them.
        path (str | Path): The file, for error messages.
        remedy (str): What the user can do, for error messages.

    Raises:
        InputError: If it has another form.
    """
    if not isinstance(content, dict):
        raise InputError(f'{path} has no state_dict but is a {type(content).__name__}: {remedy}.')
    is_bare = STATE_DICT not in content
    state_dict = only_tensors(content) if is_bare else content[STATE_DICT]
    if not isinstance(state_dict, dict) or (is_bare and not any(map(is_weight, content.values()))):
        raise InputError(f'{path} has no state_dict: {remedy}.')
    return CheckpointRecord(
        checked_tensors(state_dict, path, remedy),
        {} if is_bare else checked_meta(content, path, remedy),
    )


def only_tensors(content: dict) -> dict:
    """The tensors of a dictionary, beside which a number of epochs, for example, may be stored."""
    tensors = OrderedDict(item for item in content.items() if isinstance(item[1], Tensor))
    tensors._metadata = getattr(content, '_metadata', None)  # type: ignore[attr-defined]
    return tensors


def checked_tensors(state_dict: dict, path: str | Path, remedy: str) -> 'OrderedDict[str, Tensor]':
    """Check that a dictionary contains named dense tensors, and return a copy of it.

    Raises:
        InputError: If a key is not a string, or a value is not a dense tensor of a usual dtype.
    """
    for name, value in state_dict.items():
        if not isinstance(name, str):
            raise InputError(f'{path} has a tensor whose name is {name!r}, not a text: {remedy}.')
        if not is_weight(value):
            kind = type(value).__name__
            if isinstance(value, Tensor):
                kind = f'{value.layout} of {value.dtype} on {value.device}'
            raise InputError(f'{path} has no dense tensor of numbers as {name} ({kind}): {remedy}.')
    tensors = OrderedDict((name.removeprefix('module.'), each) for name, each in state_dict.items())
    # PyTorch keeps the versions of modules here, by which some modules convert old tensors
    tensors._metadata = versions(getattr(state_dict, '_metadata', None))  # type: ignore[attr-defined]
    return tensors


def is_weight(value: Any) -> bool:
    """Whether a value is a dense tensor on the CPU with one of :data:`DTYPES`."""
    return (
        isinstance(value, Tensor)
        and value.dtype in DTYPES
        and value.layout is torch.strided
        and not value.is_nested
        and value.device.type == 'cpu'
    )


def versions(metadata: Any) -> 'OrderedDict[str, dict[str, int]]':
    """The versions of modules by name, as far as they have PyTorch's form."""
    entries = metadata.items() if isinstance(metadata, dict) else ()
    return OrderedDict(
        (name, dict(version=entry['version']))
        for name, entry in entries
        if isinstance(entry, dict) and isinstance(entry.get('version'), int)
    )


def checked_meta(content: dict, path: str | Path, remedy: str) -> dict[str, Any]:
    """Check and return what a checkpoint stores beside its tensors; None counts as nothing.

    Raises:
        InputError: If ``meta`` or its ``dataset_meta`` is not a dictionary.
    """
    meta = {} if content.get(META) is None else content[META]
    if isinstance(meta, dict) and meta.get(DATASET_META) is None:
        meta = {key: value for key, value in meta.items() if key != DATASET_META}
    wrong = meta if not isinstance(meta, dict) else meta.get(DATASET_META, {})
    if not isinstance(wrong, dict):
        name = DATASET_META if isinstance(meta, dict) else META
        raise InputError(
            f'{path} has {name} of type {type(wrong).__name__}, not a dictionary: {remedy}.'
        )
    return meta


def check_finite(
    tensors: Mapping[str, Tensor],
    buffers: Collection[str],
    path: str | Path,
    remedy: str = 'use an earlier checkpoint of this training',
) -> None:
    """Refuse weights that are not finite, with which everything would be predicted as one class.

    Args:
        tensors (Mapping[str, Tensor]): Tensors by name.
        buffers (Collection[str]): Names of the tensors that are not trained. They may be infinite,
            as a mask for a softmax is, but not NaN.
        path (str | Path): The checkpoint, for the error message.
        remedy (str): What the user can do, for the error message.

    Raises:
        InputError: If a tensor has such values. The message names the first one.
    """
    for name, value in tensors.items():
        if not value.is_floating_point():
            continue
        wrong = value.isnan() if name in buffers else ~value.isfinite()
        if wrong.any():
            raise InputError(
                f'{path} has {int(wrong.sum())} values in {name} that are not finite: {remedy}.'
            )


def probable_buffers(names: Collection[str]) -> set[str]:
    """The names that do not end like those of parameters."""
    return {name for name in names if name.rpartition('.')[2] not in PARAMETERS}
