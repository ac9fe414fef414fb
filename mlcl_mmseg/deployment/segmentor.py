"""A trained segmentor, ready to predict."""

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
    """Build a config's model, load a checkpoint into it and let it predict.

    Args:
        config (Config): Of :func:`mlcl_mmseg.command_line.load_config`.
        checkpoint (str): A local file.
        device (str): Where the model is to be.

    Returns:
        EncoderDecoder: In eval mode. Its ``dataset_meta`` has ``classes`` and ``palette``: the
        checkpoint's, or those of the label space with as many classes.

    Raises:
        MissingFileError: If there is no such checkpoint.
        InputError: If it does not fit the config, or cannot be read.
    """
    check_checkpoint(checkpoint)
    init_default_scope(config.get('default_scope', 'mmseg'))
    model = MODELS.build(config.model)
    meta = load_checkpoint(model, checkpoint, map_location='cpu').get('meta', {})
    dataset_meta = meta.get('dataset_meta') or label_space(model.num_classes)._asdict()
    model.dataset_meta = {key: dataset_meta[key] for key in ('classes', 'palette')}
    return model.to(device).eval()


def find_device(name: str | None = None) -> str:
    """A device by its name, by default the GPU if there is one.

    Raises:
        InputError: If there is no such device here.
    """
    if name is None:
        return 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        torch.empty(0, device=name)
    # whatever a backend that is not there, or was not compiled in, raises
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f'--device {name} is not to be had here ({reason}): use cpu.') from error
    return name
