"""ImageNet weights: found, checked and loaded, or a clear refusal."""

from pathlib import Path
from urllib.error import URLError

import torch
from mmengine.logging import print_log
from torch import nn
from torchvision.models import get_model_weights

from ...errors import InputError, MissingFileError

TORCHVISION = 'torchvision://'


def read_pretrained(checkpoint: str) -> dict[str, torch.Tensor]:
    """Read a state dict by torchvision's name (always the V1 weights) or from a local file.

    Only tensors are unpickled.

    Args:
        checkpoint (str): ``torchvision://resnet101``, or a path.

    Returns:
        dict[str, Tensor]: Tensors by name, on the CPU.

    Raises:
        MissingFileError: If the file is missing or the network does not give the weights.
    """
    if checkpoint.startswith(TORCHVISION):
        weights = get_model_weights(checkpoint.removeprefix(TORCHVISION)).IMAGENET1K_V1
        try:
            return torch.hub.load_state_dict_from_url(
                weights.url, map_location='cpu', weights_only=True
            )
        except (URLError, OSError) as error:
            raise MissingFileError(
                f'The ImageNet weights {checkpoint} could not be downloaded ({error}): fetch '
                f'{Path(weights.url).name} where there is a network and pass '
                '--cfg-options model.backbone.init_cfg.checkpoint=FILE, with "warmup." before it '
                'where MCL trains its warm-up first.'
            ) from error
    if not Path(checkpoint).is_file():
        raise MissingFileError(
            f'The ImageNet weights {checkpoint} do not exist: correct '
            'model.backbone.init_cfg.checkpoint.'
        )
    state_dict = torch.load(checkpoint, map_location='cpu', weights_only=True)
    return state_dict.get('state_dict', state_dict)


def load_pretrained(module: nn.Module, checkpoint: str) -> None:
    """Load ImageNet weights into a backbone; only the classifier may be left over.

    Args:
        module (nn.Module): The backbone.
        checkpoint (str): See :func:`read_pretrained`.

    Raises:
        MissingFileError: See :func:`read_pretrained`.
        InputError: If a weight of the backbone is not in the checkpoint.
    """
    state_dict = read_pretrained(checkpoint)
    state_dict = {name.removeprefix('backbone.'): value for name, value in state_dict.items()}
    own = module.state_dict()
    wrong = [
        name
        for name, value in own.items()
        if not name.endswith('num_batches_tracked')
        and (name not in state_dict or state_dict[name].shape != value.shape)
    ]
    if wrong:
        raise InputError(
            f'{checkpoint} does not fit {type(module).__name__}: {len(wrong)} of its {len(own)} '
            f'tensors are missing or of another shape, the first is {wrong[0]}; give the weights '
            'of the same architecture.'
        )
    module.load_state_dict(state_dict, strict=False)
    print_log(f'{type(module).__name__} starts from {checkpoint}.', logger='current')
