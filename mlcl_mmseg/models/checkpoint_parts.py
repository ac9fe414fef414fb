"""Checks of which tensors a checkpoint must contain and which it may lack.

MMEngine would only log missing tensors and continue with random weights.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ..errors import InputError

if TYPE_CHECKING:
    from torch.nn.modules.module import _IncompatibleKeys


def check_parts(
    model: nn.Module, state_dict: Mapping[str, Tensor], parts: Sequence[str], remedy: str
) -> None:
    """Refuse a checkpoint that does not contain every required tensor of a model.

    Args:
        model (nn.Module): The model to load the checkpoint into.
        state_dict (Mapping[str, Tensor]): Tensors of the checkpoint, by name.
        parts (Sequence[str]): Name prefixes of the required tensors.
        remedy (str): What the user can do, for the error message.

    Raises:
        InputError: If the checkpoint lacks a required tensor or has it in another shape.
    """
    for name, value in model.state_dict().items():
        if not name.startswith(tuple(parts)) or name.endswith('num_batches_tracked'):
            continue
        if name not in state_dict or state_dict[name].shape != value.shape:
            raise InputError(
                f'The checkpoint has no {name} of shape {tuple(value.shape)}, which '
                f'{type(model).__name__} needs here: {remedy}.'
            )


def check_num_classes(state_dict: Mapping[str, Tensor], num_classes: int) -> None:
    """Refuse a checkpoint whose classifiers have another number of classes.

    Args:
        state_dict (Mapping[str, Tensor]): Tensors of the checkpoint, by name.
        num_classes (int): Number of classes of the model.

    Raises:
        InputError: If the number of classes differs.
    """
    for name, value in state_dict.items():
        if name.endswith('conv_seg.weight') and value.shape[:1] != (num_classes,):
            found = value.shape[0] if value.ndim else 0
            raise InputError(
                f'The checkpoint has {found} classes, but the model has {num_classes}: use '
                'the config with that number of classes.'
            )


def forgive_missing(
    model: nn.Module, incompatible_keys: '_IncompatibleKeys', parts: Sequence[str]
) -> None:
    """Accept in strict loading a checkpoint that lacks all tensors of some parts.

    Args:
        model (nn.Module): The model that was loaded.
        incompatible_keys (_IncompatibleKeys): The missing keys that PyTorch found; modified in
            place.
        parts (Sequence[str]): Name prefixes of the tensors that a checkpoint may lack.
    """
    missing = incompatible_keys.missing_keys
    names = [name for name in model.state_dict() if name.startswith(tuple(parts))]
    if set(names) <= set(missing):
        for name in names:
            missing.remove(name)
