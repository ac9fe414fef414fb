"""Load a trained segmentor for prediction."""

from typing import Annotated, NamedTuple

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_state_dict
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from pydantic import Field, StrictInt, StrictStr

from ..checkpoint_record import REMEDY, CheckpointRecord, check_finite, record_of
from ..engine.stage_files import check_checkpoint
from ..errors import InputError
from ..json_records import check_form
from ..labels import LABEL_SPACES, LabelSpace
from ..safe_load import read_checkpoint

Byte = Annotated[StrictInt, Field(ge=0, le=255)]


class StoredClasses(NamedTuple):
    """What a checkpoint says of its classes: names and RGB colours, both of which may be absent."""

    classes: list[StrictStr] | None = None
    palette: list[tuple[Byte, Byte, Byte]] | None = None


def load_segmentor(config: Config, checkpoint: str, device: str = 'cpu') -> EncoderDecoder:
    """Build the model of a config and load a checkpoint into it.

    Args:
        config (Config): A config from :func:`mlcl_mmseg.command_line.load_config`.
        checkpoint (str): A local file.
        device (str): The device of the model.

    Returns:
        EncoderDecoder: The model in eval mode. Its ``dataset_meta`` has ``classes`` and
        ``palette``, see :func:`classes_of`.

    Raises:
        MissingFileError: If the checkpoint does not exist.
        InputError: If the checkpoint does not match the config, cannot be read, or has weights
            that are not finite.
    """
    check_checkpoint(checkpoint)
    record = record_of(read_checkpoint(checkpoint), checkpoint)
    init_default_scope(config.get('default_scope', 'mmseg'))
    model = MODELS.build(config.model)
    model.dataset_meta = classes_of(record, model.num_classes, checkpoint)._asdict()
    try:
        load_state_dict(model, record.state_dict)
    except InputError as error:
        raise InputError(f'{checkpoint} does not fit {config.filename}: {error}') from error
    check_finite_model(model, checkpoint)
    return model.to(device).eval()


def classes_of(record: CheckpointRecord, num_classes: int, path: str) -> LabelSpace:
    """The names and colours of the classes of a checkpoint.

    What the checkpoint does not say comes from the class set with the same number of classes.

    Args:
        record (CheckpointRecord): The checkpoint.
        num_classes (int): Number of classes of the model.
        path (str): The file, for error messages.

    Raises:
        InputError: If names or colours have another form or number, or are unknown.
    """
    known = {name: record.dataset_meta.get(name) for name in StoredClasses._fields}
    try:
        stored = check_form(known, StoredClasses)
    except ValueError as error:
        raise InputError(f'{path} has a wrong dataset_meta ({error}): {REMEDY}.') from error
    for name, value in stored._asdict().items():
        if value and len(value) != num_classes:
            raise InputError(
                f'{path} has {len(value)} entries in dataset_meta.{name}, but the model has '
                f'{num_classes} classes: use the config of the checkpoint.'
            )
    usual = LABEL_SPACES.get(num_classes, LabelSpace((), ()))
    classes, palette = stored.classes or usual.classes, stored.palette or usual.palette
    if not (classes and palette):
        raise InputError(
            f'{path} does not say the names and colours of its {num_classes} classes '
            f'(meta.dataset_meta): {REMEDY}.'
        )
    return LabelSpace(tuple(classes), tuple(palette))


def check_finite_model(model: torch.nn.Module, path: str) -> None:
    """Refuse a model whose loaded weights are not finite.

    Args:
        model (torch.nn.Module): The model.
        path (str): The checkpoint that was loaded, for the error message.

    Raises:
        InputError: If a parameter is not finite or a buffer is NaN.
    """
    check_finite(model.state_dict(), {name for name, _ in model.named_buffers()}, path)


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
