"""Which tensors a checkpoint has to hold, and which it may lack.

MMEngine loads leniently: it would log what is missing and continue with random weights.
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
    """Refuse a checkpoint that would leave a required tensor of a model as it is.

    Args:
        model (nn.Module): The model to load the checkpoint into.
        state_dict (Mapping[str, Tensor]): Tensors of the checkpoint, by name.
        parts (Sequence[str]): Prefixes of the names that are required.
        remedy (str): What the user can do, for the message.

    Raises:
        InputError: If the checkpoint lacks such a tensor or has it in another shape.
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

    Raises:
        InputError: If the number of classes differs.
    """
    for name, value in state_dict.items():
        if name.endswith('conv_seg.weight') and len(value) != num_classes:
            raise InputError(
                f'The checkpoint has {len(value)} classes, but the model has {num_classes}: use '
                'the config with that number of classes.'
            )


def forgive_missing(
    model: nn.Module, incompatible_keys: '_IncompatibleKeys', parts: Sequence[str]
) -> None:
    """Let a checkpoint that lacks all tensors of some parts load strictly and silently.

    Args:
        model (nn.Module): The model that was loaded.
        incompatible_keys (_IncompatibleKeys): What PyTorch found missing; it is changed.
        parts (Sequence[str]): Prefixes of the names that a checkpoint may lack.
    """
    missing = incompatible_keys.missing_keys
    names = [name for name in model.state_dict() if name.startswith(tuple(parts))]
    if set(names) <= set(missing):
        for name in names:
            missing.remove(name)
