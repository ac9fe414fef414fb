"""Train a segmentor, after the stages before it if they are needed: mlcl train CONFIG."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mlcl_mmseg.command_line import (
    add_common_arguments,
    add_precision,
    check_writable,
    read_config,
    set_work_dir,
    start_processes,
    with_present_names,
)
from mlcl_mmseg.config_check import STAGE_BEFORE
from mlcl_mmseg.engine.precision import use_precision
from mlcl_mmseg.engine.stage_files import stage_name
from mlcl_mmseg.engine.stages import train_stages
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.tool_exit import end_with_sentence

PREFIX = f'{STAGE_BEFORE}.'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Train a segmentor, after the stages before it if they are needed.'
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir',
        help='folder for logs and checkpoints; each stage before has a subfolder, such as warmup',
    )
    parser.add_argument(
        '--resume', action='store_true', help='continue the unfinished stage in the work dir'
    )
    add_precision(parser, 'training')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rates with the total batch size of all processes',
    )
    add_common_arguments(parser)
    return parser.parse_args()


def load_stages(args: argparse.Namespace) -> list[Config]:
    """Read the config and the configs of all stages before it.

    A config names the config of the stage before it. The chain ends at a config that names none
    or sets ``load_from``. ``--cfg-options stage_before.KEY=VALUE`` changes the stage before,
    ``stage_before.stage_before.KEY=VALUE`` the stage before that one.

    Returns:
        list[Config]: The stages in the order in which they are trained. With ``--work-dir``, the
        folder of each stage is inside the folder of the stage after it.

    Raises:
        InputError: If the stages form a circle, if an option is for a stage that is not trained,
            or if :func:`read_config` refuses a config or an option.
    """
    stages: list[Config] = []
    path, options, work_dir = args.config, args.cfg_options, args.work_dir
    while path is not None:
        own_options, options = split_options(options)
        config = read_config(path, own_options, args.launcher)
        check_circle(config, stages)
        if stages and work_dir is not None:
            work_dir = str(Path(work_dir, stage_name(config)))
        set_work_dir(config, work_dir)
        stages.insert(0, config)
        path = config.get(STAGE_BEFORE) if config.get('load_from') is None else None
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


def main() -> None:
    """Train the stages of the config that the command line names."""
    args = parse_args()
    stages = load_stages(args)
    for config in stages:
        check_writable(config.work_dir, '--work-dir')
        if args.precision is not None:
            use_precision(config.optim_wrapper, args.precision)
        if args.auto_scale_lr:
            config.auto_scale_lr.enable = True
    start_processes(args.launcher, stages[-1], args.local_rank)
    train_stages(stages, args.resume or stages[-1].resume)


if __name__ == '__main__':
    end_with_sentence(main)
