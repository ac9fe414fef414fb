"""Functions that all tools share: arguments, reading a config and starting processes."""

import argparse
import difflib
import os
import sys
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmengine.dist import init_dist

from .config_check import (
    OLD_STAGE_BEFORE,
    READ_LATER,
    STAGE_BEFORE,
    check_config,
    known_settings,
)
from .datasets.workers import choose_workers
from .engine.precision import PRECISIONS
from .errors import InputError, MissingFileError
from .safe_load import use_safe_loading
from .shipped import CONFIGS

# MMEngine's own default hooks: it accepts None for these hooks, but not for others
HOOKS_OF_MMENGINE = (
    *('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint'),
)
# for each launcher, the scripts that start the processes and the variables that they set
STARTERS = dict(
    pytorch=('tools/dist_train.sh or dist_test.sh', ('RANK', 'WORLD_SIZE')),
    slurm=('tools/slurm_train.sh or slurm_test.sh', ('SLURM_PROCID', 'SLURM_NTASKS')),
)


class OptionsAction(DictAction):
    """Parse KEY=VALUE pairs, with an error message for a value that is not such a pair."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Sequence[str],
        option_string: str | None = None,
    ) -> None:
        """Parse the pairs."""
        for value in values:
            if '=' not in value:
                parser.error(f'{option_string}: {value} is not of the form KEY=VALUE')
        super().__call__(parser, namespace, values, option_string)


def count(text: str, least: int = 1) -> int:
    """Parse an argument that is an integer of at least ``least``."""
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f'{text!r} is not an integer of at least {least}')
    return int(text)


def count_from_zero(text: str) -> int:
    """Parse an argument that is an integer of at least 0."""
    return count(text, 0)


def size(text: str) -> tuple[int, int]:
    """Parse an argument WIDTHxHEIGHT as two integers."""
    sides = text.split('x')
    if len(sides) != 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise argparse.ArgumentTypeError(f'{text!r} is not of the form WIDTHxHEIGHT, as in 640x320')
    width, height = map(int, sides)
    return width, height


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add the argument that overrides settings of a config."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        default={},
        help='override settings, such as train_dataloader.batch_size=2 load_from=FILE',
    )


def add_precision(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the arguments that set the precision of ``what``, a word for the help text."""
    parser.add_argument(
        '--precision', choices=PRECISIONS, help=f'precision of {what} (default: set by the config)'
    )
    parser.add_argument(
        '--amp',
        dest='precision',
        action='store_const',
        const='fp16',
        help='same as --precision fp16',
    )


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that all tools of MMSegmentation have."""
    add_cfg_options(parser)
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm'], default='none', help='job launcher'
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def find_config(path: str) -> str:
    """Find a config file: the file at this path or, if it does not exist, the shipped one.

    A message says when the shipped config is used.

    Args:
        path (str): The user's own file, or a shipped one such as configs/mlcl/g2ci.py, which is
            found from any folder.

    Returns:
        str: The path of an existing file.

    Raises:
        MissingFileError: If neither file exists.
    """
    if Path(path).is_file():
        return path
    shipped = (CONFIGS.parent / path).resolve()
    if not (shipped.is_relative_to(CONFIGS) and shipped.is_file()):
        raise MissingFileError(
            f'The config {path} does not exist: pass a file of your own or one of {CONFIGS}.'
        )
    # not to standard output, which may be redirected to a file
    print(f'{path} is not in this folder: {shipped} is used.', file=sys.stderr)
    return str(shipped)


def load_config(path: str, options: dict, work_dir: str | None, launcher: str) -> Config:
    """Read a config with :func:`read_config` and set its work dir with :func:`set_work_dir`."""
    config = read_config(path, options, launcher)
    set_work_dir(config, work_dir)
    return config


def read_config(path: str, options: dict, launcher: str) -> Config:
    """Read a config, override some of its settings and check it.

    It also enables the safe reading of checkpoints for the whole process. In the result, the stage
    before is always named by ``stage_before``, even if the config or an option has the old name of
    this setting, ``warmup``.

    Args:
        path (str): The config file, for :func:`find_config`.
        options (dict): The settings to override, ``{dotted key: value}``.
        launcher (str): The launcher that starts the processes.

    Returns:
        Config: The complete config except for the work dir. Loaders that set no ``num_workers``
        have the number of :func:`~mlcl_mmseg.datasets.workers.choose_workers`.

    Raises:
        InputError: If the first key of an option is not a setting of the config or belongs to the
            stage before, if ``stage_before`` is also set under its old name, or if
            :func:`check_config` refuses a key or a value.
        MissingFileError: If the config does not exist.
    """
    use_safe_loading()
    path = find_config(path)
    try:
        config = Config.fromfile(path)
    except Exception as error:
        # a config is Python code and may raise any exception
        raise InputError(
            f'The config {path} cannot be read ({type(error).__name__}: {error}): correct it.'
        ) from error
    rename_stage_before(config)
    for key, value in with_present_names(options).items():
        check_setting(key, config)
        if key.startswith(f'{STAGE_BEFORE}.') and config.get(STAGE_BEFORE):
            raise InputError(
                f'--cfg-options: {key} changes the stage before, which only tools/train.py runs: '
                f'pass {config.stage_before} as the config, and the key without {STAGE_BEFORE}.'
            )
        try:
            config.merge_from_dict({key: value})
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise InputError(
                f'--cfg-options: {key}={value} does not fit {path} ({error}): correct it.'
            ) from error
    config.launcher = launcher
    check_config(config)
    choose_workers(config)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if (config.get(name) or {}).get('num_workers') == 0:
            # PyTorch accepts True only with workers
            config[name].persistent_workers = False
    hooks = config.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if hook is None]:
        if name not in HOOKS_OF_MMENGINE:
            del hooks[name]
    return config


def rename_stage_before(config: Config) -> None:
    """Rename the old name of the setting ``stage_before`` in a config.

    Raises:
        InputError: If the config sets both names to different values.
    """
    if OLD_STAGE_BEFORE not in config:
        return
    old, new = config.pop(OLD_STAGE_BEFORE), config.get(STAGE_BEFORE)
    is_same = old == new or (
        isinstance(old, str) and isinstance(new, str) and Path(old).resolve() == Path(new).resolve()
    )
    if STAGE_BEFORE in config and not is_same:
        raise InputError(
            f'{config.filename} has {STAGE_BEFORE}={new!r} and {OLD_STAGE_BEFORE}={old!r}, which '
            f'is the old name of the same setting: set only {STAGE_BEFORE}.'
        )
    config[STAGE_BEFORE] = old


def with_present_names(options: dict[str, Any]) -> dict[str, Any]:
    """Return options in which the old name of ``stage_before`` is replaced by the new one.

    Raises:
        InputError: If an option is passed under both names.
    """
    renamed: dict[str, Any] = {}
    for key, value in options.items():
        first, dot, rest = key.partition('.')
        name = f'{STAGE_BEFORE}{dot}{rest}' if first == OLD_STAGE_BEFORE else key
        if name in renamed:
            raise InputError(
                f'--cfg-options: {key} and {name} are the same setting: pass only one of them.'
            )
        renamed[name] = value
    return renamed


def set_work_dir(config: Config, work_dir: str | None = None) -> None:
    """Set the work dir of a run and the experiment name that MMEngine uses for it.

    Args:
        config (Config): The config, which is changed in place.
        work_dir (str, optional): Folder for logs and checkpoints. Defaults to the work dir of the
            config or, if it has none, work_dirs/<folder of the config>/<name of the config>.
    """
    if work_dir is not None:
        config.work_dir = work_dir
    elif config.get('work_dir') is None:
        resolved = Path(config.filename).resolve()
        config.work_dir = str(Path('work_dirs', resolved.parent.name, resolved.stem))
    if config.get('experiment_name') is None:
        # MMEngine's default, the name of the config and the time in seconds, may be the same for
        # two stages, which would then share their log and their best score
        folder = Path(config.work_dir).resolve()
        config.experiment_name = f'{folder.parent.name}_{folder.name}'


def check_setting(key: str, config: Config) -> None:
    """Check that the first key of an option is a setting, not a variable of the config.

    A variable has already been used when the config is read, so changing it has no effect.

    Raises:
        InputError: If the key is not a setting. The message suggests the most similar name.
    """
    first, settings = key.split('.')[0], known_settings()
    if first in settings or (first in config and first in READ_LATER):
        return
    if first in config:
        raise InputError(
            f'--cfg-options: {first} is a variable that {config.filename} has already used, so '
            'that changing it has no effect: change the settings that use it, which '
            'tools/print_config.py shows.'
        )
    known = difflib.get_close_matches(first, [*config, *settings], n=1)
    hint = f', did you mean {known[0]}?' if known else '.'
    raise InputError(f'--cfg-options: {key} is not a setting of {config.filename}{hint}')


def check_writable(folder: str, option: str) -> None:
    """Create a folder if it does not exist, and check that files can be created in it.

    Args:
        folder (str): The folder.
        option (str): The option that sets the folder, for the error message.

    Raises:
        InputError: If the folder cannot be written.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise InputError(
            f'The folder {folder} cannot be written ({error.strerror}): choose another with '
            f'{option}.'
        ) from error


def start_processes(launcher: str, config: Config, local_rank: int = 0) -> None:
    """Join the process group of this launch. With the launcher 'none', there is no group.

    MMEngine's launchers need an accelerator. Without one, the processes communicate by gloo.
    ``env_cfg.dist_cfg.timeout`` is the number of seconds after which a process that does not answer
    ends the others.

    Raises:
        InputError: If the launcher did not start this process.
    """
    os.environ.setdefault('LOCAL_RANK', str(local_rank))
    if launcher == 'none':
        return
    starter, variables = STARTERS[launcher]
    for name in variables:
        if name not in os.environ:
            raise InputError(
                f'--launcher {launcher} needs the environment variable {name}: start with '
                f'{starter}.'
            )
    if torch.cuda.is_available():
        init_dist(launcher, **config.env_cfg.dist_cfg)
        return
    if launcher == 'slurm':
        os.environ.update(
            RANK=os.environ['SLURM_PROCID'],
            WORLD_SIZE=os.environ['SLURM_NTASKS'],
            LOCAL_RANK=os.environ['SLURM_LOCALID'],
        )
        if os.environ.get('SLURM_NNODES', '1') != '1' and 'MASTER_ADDR' not in os.environ:
            raise InputError(
                '--launcher slurm on several nodes without GPUs needs the environment variable '
                'MASTER_ADDR: export it with the name of the first node.'
            )
        os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
        os.environ.setdefault('MASTER_PORT', '29500')
    timeout = config.env_cfg.dist_cfg.get('timeout')
    torch.distributed.init_process_group(
        'gloo', timeout=None if timeout is None else timedelta(seconds=timeout)
    )
