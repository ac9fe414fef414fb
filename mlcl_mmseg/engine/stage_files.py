"""The files of a stage in its work dir: checkpoints, and markers of its start and its end."""

import json
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from mmengine.config import Config
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log
from mmseg.registry import MODELS
from pydantic import BaseModel, Field, StrictInt

from ..durable_files import write_durably
from ..errors import InputError, MissingFileError
from ..json_records import read_record
from ..safe_load import read_checkpoint
from .config_record import CONFIG

# markers that are written when a stage starts and when it is complete
STARTED, COMPLETE = 'started.json', 'complete.json'
# MMEngine's pointer to the latest checkpoint, which may be incomplete or point elsewhere
POINTER = 'last_checkpoint'


class Marker(BaseModel):
    """The content of a marker.

    Attributes:
        settings (dict): The fingerprint of the settings of the stage.
        best_checkpoint (str, optional): The name of the best checkpoint of a complete stage.
        iterations (int, optional): The number of iterations of a complete stage.
    """

    settings: dict[str, Any]
    best_checkpoint: Annotated[str, Field(pattern=r'^best_[^/]+\.pth$')] | None = None
    iterations: StrictInt | None = None


def stage_name(config: Config) -> str:
    """The name of the folder of a stage that comes before another one.

    It is ``stage_name`` of the model's class or, without one, the class name in snake case.
    """
    model_type = config.model.type
    model_class = MODELS.get(model_type) if isinstance(model_type, str) else model_type
    class_name = str(model_type) if model_class is None else model_class.__name__
    snake_case = re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', class_name).lower()
    return getattr(model_class, 'stage_name', '') or snake_case


def latest_checkpoint(config: Config) -> str | None:
    """The latest checkpoint of a stage, None if there is none."""
    return next(iter(checkpoints(config)), None)


def keeps_best(config: Config) -> bool:
    """Whether a stage is to keep the checkpoint with the best validation."""
    return bool((config.get('default_hooks', {}).get('checkpoint') or {}).get('save_best'))


def check_best(config: Config, checkpoint: str | None) -> None:
    """Refuse a stage that has ended without the best checkpoint that it should have kept.

    Raises:
        InputError: If there is no checkpoint, but the config asks for the best one.
    """
    if checkpoint is None and keeps_best(config):
        raise InputError(
            f'{config.work_dir} ends without a best checkpoint: validate it, and let '
            "default_hooks.checkpoint.save_best name one figure, such as 'mIoU'."
        )


def latest_whole_checkpoint(config: Config) -> str:
    """The latest checkpoint of a stage that can be read.

    Raises:
        InputError: If no checkpoint can be read.
    """
    for path in checkpoints(config):
        try:
            read_checkpoint(path)
        except InputError as error:
            announce(f'{error} The checkpoint before it is tried.')
        else:
            return path
    raise InputError(
        f'No checkpoint in {config.work_dir} can be read: start from scratch without --resume.'
    )


def resume_from_latest(config: Config) -> None:
    """Let a stage resume from its latest checkpoint, which makes ImageNet weights unnecessary."""
    config.resume = True
    config.load_from = latest_whole_checkpoint(config)
    config.model.backbone.init_cfg = None


def checkpoints(config: Config) -> list[str]:
    """All checkpoints of a stage that it may be resumed from, the latest first."""
    found = {
        int(path.stem.removeprefix('iter_')): str(path)
        for path in Path(config.work_dir).glob('iter_*.pth')
        if path.stem.removeprefix('iter_').isdecimal()
    }
    return [found[iteration] for iteration in sorted(found, reverse=True)]


def is_complete(config: Config) -> bool:
    """Whether a stage has been trained to its end."""
    return Path(config.work_dir, COMPLETE).is_file()


def best_checkpoint(config: Config) -> str:
    """The best checkpoint of a complete stage.

    Raises:
        InputError: If the file does not exist.
    """
    name = read_marker(config, COMPLETE).best_checkpoint
    best = Path(config.work_dir, name or 'its best checkpoint')
    if not best.is_file():
        raise InputError(
            f'{config.work_dir} is complete but {best.name} is missing: put the file back, pass '
            f'--cfg-options load_from=FILE, or remove {COMPLETE} to train it again.'
        )
    return str(best)


def check_checkpoint(path: str | None) -> None:
    """Refuse a local checkpoint that does not exist.

    Raises:
        MissingFileError: If the file does not exist.
    """
    if path is not None and '://' not in path and not Path(path).is_file():
        raise MissingFileError(
            f'The checkpoint {path} does not exist: give an iter_*.pth or best_*.pth.'
        )


def set_aside(configs: Sequence[Config]) -> None:
    """Move the files that earlier runs left in these work dirs into a folder of their own."""
    if is_main_process():
        stamp = time.strftime('superseded_%Y%m%d_%H%M%S')
        for config in configs:
            work_dir = Path(config.work_dir)
            names = (STARTED, COMPLETE, CONFIG, POINTER)
            logs = [path.parent for path in work_dir.glob('*/vis_data')]
            old = [*work_dir.glob('*.pth'), *logs, *(work_dir / name for name in names)]
            for path in filter(os.path.lexists, old):
                (work_dir / stamp).mkdir(exist_ok=True)
                path.replace(work_dir / stamp / path.name)
            if (work_dir / stamp).is_dir():
                announce(f'{work_dir / stamp} holds the files of an earlier training.')
    barrier()


def remove_links(config: Config) -> None:
    """Remove links in place of the files that MMEngine writes without replacing them."""
    if is_main_process():
        for name in (POINTER, Path(config.filename or CONFIG).name):
            path = Path(config.work_dir, name)
            if path.is_symlink():
                announce(f'{path} was a symbolic link, which has been removed.')
                path.unlink()
    barrier()


def read_marker(config: Config, name: str) -> Marker:
    """Read a marker of a stage.

    Raises:
        InputError: If it is missing or has another form.
    """
    path = Path(config.work_dir, name)
    return read_record(path, Marker, f'remove {path.parent} or start again in another --work-dir')


def write_marker(config: Config, name: str, content: dict[str, Any]) -> None:
    """Write a marker of a stage, completely or not at all."""
    if is_main_process():
        text = json.dumps(content, indent=1) + '\n'
        write_durably(Path(config.work_dir, name), text.encode())
    barrier()


def announce(text: str) -> None:
    """Log a message once, whatever the number of processes."""
    if is_main_process():
        print_log(text)
