"""Strict loading of ImageNet weights."""

import hashlib
import re
from pathlib import Path
from urllib.error import URLError

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor
from torchvision.models import get_model_weights

from ...checkpoint_record import check_finite, record_of
from ...errors import InputError, MissingFileError
from ...safe_load import read_checkpoint

TORCHVISION = 'torchvision://'
REMEDY = 'use weights of the same architecture'


class PretrainedBackbone(BaseModule):
    """Mixin that loads ``init_cfg=dict(type='Pretrained', checkpoint=...)`` of a backbone strictly.

    MMEngine would only log missing tensors. In the list of base classes, this class must come
    before the backbone that it extends.
    """

    # name prefixes of tensors that no ImageNet checkpoint has
    fresh_parts: tuple[str, ...] = ()

    def init_weights(self) -> None:
        """Load ImageNet weights if the config names them, else initialise randomly.

        Raises:
            MissingFileError: If the weights are not available.
            InputError: If the weights do not fit this backbone.
        """
        if isinstance(self.init_cfg, dict) and self.init_cfg['type'] == 'Pretrained':
            self.load_pretrained(self.init_cfg['checkpoint'])
            self._is_init = True
        else:
            super().init_weights()

    def load_pretrained(self, checkpoint: str) -> None:
        """Load ImageNet weights, which must contain every tensor of the backbone.

        Other tensors of the checkpoint, such as the classifier, are ignored.

        Args:
            checkpoint (str): A name, URL or path, see :func:`read_pretrained`.

        Raises:
            MissingFileError: If the weights are not available.
            InputError: If the checkpoint lacks a tensor of the backbone, has another shape or
                values that are not finite.
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
                f'tensors are missing or have another shape, the first is {wrong[0]}; {REMEDY}.'
            )
        self.load_state_dict(state_dict, strict=False)
        check_finite(
            self.state_dict(), {name for name, _ in self.named_buffers()}, checkpoint, REMEDY
        )
        print_log(f'{type(self).__name__} starts from {checkpoint}.', logger='current')

    def rename_pretrained(self, state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        """Rename the tensors of an ImageNet checkpoint to the backbone's names; here unchanged."""
        return state_dict


def read_pretrained(checkpoint: str) -> dict[str, Tensor]:
    """Read a state dict from torchvision (always the V1 weights), a URL or a file.

    Objects other than tensors and plain containers are refused.

    Args:
        checkpoint (str): ``torchvision://resnet101``, ``https://...``, or a path.

    Returns:
        dict[str, Tensor]: Tensors by name, on the CPU.

    Raises:
        MissingFileError: If the file does not exist or the weights cannot be downloaded.
        InputError: If the file is damaged or contains other objects than named tensors.
    """
    url = resolve(checkpoint)
    if '://' in url:
        try:
            content = torch.hub.load_state_dict_from_url(url, map_location='cpu', weights_only=True)
        except (URLError, OSError) as error:
            raise MissingFileError(
                f'The ImageNet weights {checkpoint} could not be downloaded ({error}): download '
                f'{Path(url).name} on a machine with internet access and pass '
                '--cfg-options model.backbone.init_cfg.checkpoint=FILE, with "stage_before." in '
                'front if the stage before needs them.'
            ) from error
    elif Path(checkpoint).is_file():
        content = read_checkpoint(checkpoint)
    else:
        raise MissingFileError(
            f'The ImageNet weights {checkpoint} do not exist: correct '
            'model.backbone.init_cfg.checkpoint.'
        )
    return record_of(content, checkpoint, REMEDY).state_dict


def resolve(checkpoint: str) -> str:
    """Convert torchvision's name of a model to the URL of its V1 weights; keep other names."""
    if not checkpoint.startswith(TORCHVISION):
        return checkpoint
    return get_model_weights(checkpoint.removeprefix(TORCHVISION)).IMAGENET1K_V1.url


def describe_pretrained(checkpoint: str) -> str | None:
    """Return an identifier of ImageNet weights that does not depend on their location.

    Args:
        checkpoint (str): A name, URL or path, see :func:`read_pretrained`.

    Returns:
        str | None: The first eight digits of the file's SHA-256, which torchvision and OpenMMLab
        append to their file names; the URL itself if its file name has no such digits; None if the
        file does not exist.
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
