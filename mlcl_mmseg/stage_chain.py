"""The chain of stages of a training: each config names the config of the stage before it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .command_line import read_config, set_work_dir, with_present_names
from .config_check import STAGE_BEFORE
from .engine.stage_files import stage_name
from .errors import InputError

PREFIX = f'{STAGE_BEFORE}.'


def read_stages(
    path: str, options: dict[str, Any], work_dir: str | None = None, launcher: str = 'none'
) -> list[Config]:
    """Read the config and the configs of all stages before it.

    A config names the config of the stage before it. The chain ends at a config that names none
    or sets ``load_from``. The option ``stage_before.KEY`` changes the stage before,
    ``stage_before.stage_before.KEY`` the stage before that one.

    Args:
        path (str): The config of the last stage.
        options (dict[str, Any]): The settings to override, ``{dotted key: value}``.
        work_dir (str, optional): The work dir of the last stage; the folder of each other stage is
            inside the folder of the stage after it. By default, each has its own.
        launcher (str): The launcher that starts the processes.

    Returns:
        list[Config]: The stages in the order in which they are trained.

    Raises:
        InputError: If the stages form a circle, if an option is for a stage that is not trained,
            or if :func:`~mlcl_mmseg.command_line.read_config` refuses a config or an option.
    """
    stages: list[Config] = []
    before: str | None = path
    while before is not None:
        own_options, options = split_options(options)
        config = read_config(before, own_options, launcher)
        check_circle(config, stages)
        if stages and work_dir is not None:
            work_dir = str(Path(work_dir, stage_name(config)))
        set_work_dir(config, work_dir)
        stages.insert(0, config)
        before = config.get(STAGE_BEFORE) if config.get('load_from') is None else None
    if options:
        raise InputError(
            f'--cfg-options: {PREFIX}{next(iter(options))} is for a stage before '
            f'{stages[0].filename}, but this run has no such stage: remove the option.'
        )
    return stages


def split_options(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split options into those of a stage and those of the stages before it."""
    options = with_present_names(options)
    own = {key: value for key, value in options.items() if not key.startswith(PREFIX)}
    before = {key.removeprefix(PREFIX): options[key] for key in options if key not in own}
    return own, before


def check_circle(config: Config, later: Sequence[Config]) -> None:
    """Check that no stage comes before itself.

    Raises:
        InputError: If a later stage has the same config file.
    """
    file = Path(config.filename).resolve()
    if any(file == Path(each.filename).resolve() for each in later):
        raise InputError(
            f'{config.filename} comes before itself: correct {STAGE_BEFORE} in {later[0].filename}.'
        )
