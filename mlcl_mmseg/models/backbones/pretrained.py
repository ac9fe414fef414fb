"""ImageNet weights: found, checked and loaded, or a clear refusal."""

import hashlib
import re
from pathlib import Path
from urllib.error import URLError

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor
from torchvision.models import get_model_weights

from ...errors import InputError, MissingFileError
from ...safe_load import read_checkpoint

TORCHVISION = 'torchvision://'


class PretrainedBackbone(BaseModule):
    """Makes ``init_cfg=dict(type='Pretrained', checkpoint=...)`` of a backbone strict.

    MMEngine would only log what a checkpoint lacks. Comes before the backbone that it extends in
    the list of base classes.
    """

    # how the names of tensors begin that no ImageNet checkpoint has
    fresh_parts: tuple[str, ...] = ()

    def init_weights(self) -> None:
        """Load ImageNet weights if the config names some, else initialise at random.

        Raises:
            MissingFileError: If the named weights are not to be had.
            InputError: If they do not fit.
        """
        if isinstance(self.init_cfg, dict) and self.init_cfg['type'] == 'Pretrained':
            self.load_pretrained(self.init_cfg['checkpoint'])
            self._is_init = True
        else:
            super().init_weights()

    def load_pretrained(self, checkpoint: str) -> None:
        """Load ImageNet weights; only the classifier may be left over.

        Args:
            checkpoint (str): See :func:`read_pretrained`.

        Raises:
            MissingFileError: See :func:`read_pretrained`.
            InputError: If a weight of the backbone is not in the checkpoint.
        """
        state_dict = {
            name.removeprefix('backbone.'): value
            for name, value in read_pretrained(checkpoint).items()
        }
        state_dict = self.rename_pretrained(state_dict)
        own = self.state_dict()
        wrong = [
            name
            for name, value in own.items()
            if not name.endswith('num_batches_tracked')
            and not name.startswith(self.fresh_parts or '\0')
            and (name not in state_dict or state_dict[name].shape != value.shape)
        ]
        if wrong:
            raise InputError(
                f'{checkpoint} does not fit {type(self).__name__}: {len(wrong)} of its {len(own)} '
                f'tensors are missing or of another shape, the first is {wrong[0]}; give the '
                'weights of the same architecture.'
            )
        self.load_state_dict(state_dict, strict=False)
        print_log(f'{type(self).__name__} starts from {checkpoint}.', logger='current')

    def rename_pretrained(self, state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        """An ImageNet checkpoint's tensors under the backbone's names."""
        return state_dict


def read_pretrained(checkpoint: str) -> dict[str, Tensor]:
    """Read a state dict by torchvision's name (always the V1 weights), a URL or from a file.

    Only tensors are unpickled.

    Args:
        checkpoint (str): ``torchvision://resnet101``, ``https://...``, or a path.

    Returns:
        dict[str, Tensor]: Tensors by name, on the CPU.

    Raises:
        MissingFileError: If the file is missing or the network does not give the weights.
        InputError: If the file is damaged or holds something else.
    """
    url = resolve(checkpoint)
    if '://' in url:
        try:
            state_dict = torch.hub.load_state_dict_from_url(
                url, map_location='cpu', weights_only=True
            )
        except (URLError, OSError) as error:
            raise MissingFileError(
                f'The ImageNet weights {checkpoint} could not be downloaded ({error}): fetch '
                f'{Path(url).name} where there is a network and pass '
                '--cfg-options model.backbone.init_cfg.checkpoint=FILE, with "warmup." before it '
                'where MCL trains its warm-up first.'
            ) from error
    elif Path(checkpoint).is_file():
        state_dict = read_checkpoint(checkpoint)
    else:
        raise MissingFileError(
            f'The ImageNet weights {checkpoint} do not exist: correct '
            'model.backbone.init_cfg.checkpoint.'
        )
    return state_dict.get('state_dict', state_dict)


def resolve(checkpoint: str) -> str:
    """The URL behind torchvision's name of its V1 weights; other names are as they are."""
    if not checkpoint.startswith(TORCHVISION):
        return checkpoint
    return get_model_weights(checkpoint.removeprefix(TORCHVISION)).IMAGENET1K_V1.url


def describe_pretrained(checkpoint: str) -> str | None:
    """What ImageNet weights are recognised by, wherever they lie.

    Returns:
        str | None: Eight digits of the file's SHA-256, which torchvision and OpenMMLab put into
        the names of theirs; the URL if it has none; None of a file that is not there.
    """
    url = resolve(checkpoint)
    if '://' in url:
        found = re.search(r'-([0-9a-f]{8})\.\w+$', url)
        return found[1] if found else url
    if not Path(url).is_file():
        return None
    digest = hashlib.sha256()
    with open(url, 'rb') as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()[:8]
