"""Load a trained segmentor for prediction."""

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS

from ..engine.stage_files import check_checkpoint
from ..errors import InputError
from ..labels import label_space


def load_segmentor(config: Config, checkpoint: str, device: str = 'cpu') -> EncoderDecoder:
    """Build the model of a config and load a checkpoint into it.

    Args:
        config (Config): A config from :func:`mlcl_mmseg.command_line.load_config`.
        checkpoint (str): A local file.
        device (str): The device of the model.

    Returns:
        EncoderDecoder: The model in eval mode. Its ``dataset_meta`` has ``classes`` and
        ``palette``, which come from the checkpoint or, if it has none, from the class set with the
        same number of classes.

    Raises:
        MissingFileError: If the checkpoint does not exist.
        InputError: If the checkpoint does not match the config or cannot be read.
    """
    check_checkpoint(checkpoint)
    init_default_scope(config.get('default_scope', 'mmseg'))
    model = MODELS.build(config.model)
    meta = load_checkpoint(model, checkpoint, map_location='cpu').get('meta', {})
    dataset_meta = meta.get('dataset_meta') or label_space(model.num_classes)._asdict()
    model.dataset_meta = {key: dataset_meta[key] for key in ('classes', 'palette')}
    return model.to(device).eval()


def find_device(name: str | None = None) -> str:
    """Check that a device is available.

    Args:
        name (str, optional): The device; by default the GPU, or the CPU if there is no GPU.

    Returns:
        str: The name of the device.

    Raises:
        InputError: If the device is not available.
    """
    if name is None:
        return 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        torch.empty(0, device=name)
    # the errors of backends that are missing at run time or were not compiled in
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f'--device {name} is not available here ({reason}): use cpu.') from error
    return name
