"""What the tools share: arguments, reading a config, ending with a sentence."""

import argparse
import difflib
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmengine.dist import init_dist

from .config_check import READ_LATER, check_config, known_settings
from .durable_files import FULL
from .errors import InputError, MissingFileError, sentence_of
from .safe_load import use_safe_loading
from .shipped import CONFIGS

# default hooks that MMEngine has of its own; it leaves out those of them alone that are None
HOOKS_OF_MMENGINE = (
    *('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint'),
)
# the setting that names the config of the stage before, and its old name
STAGE_BEFORE, OLD_STAGE_BEFORE = 'stage_before', 'warmup'
# what starts the processes of a launcher, and variables that it sets
STARTERS = dict(
    pytorch=('tools/dist_train.sh or dist_test.sh', ('RANK', 'WORLD_SIZE')),
    slurm=('tools/slurm_train.sh or slurm_test.sh', ('SLURM_PROCID', 'SLURM_NTASKS')),
)


def end_with_sentence(main: Callable[[], None]) -> None:
    """Run a tool; what the user can mend ends it with one sentence and exit code 1."""
    try:
        main()
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
            # what gloo leaves may abort a process that is taken down in the usual way
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
    except InputError as error:
        sys.exit(sentence_of(error))
    except OSError as error:
        if error.errno not in FULL:
            raise
        sys.exit(f'The disk is full ({error}): make room and go on with --resume.')


class OptionsAction(DictAction):
    """KEY=VALUE pairs; what is none is named."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Sequence[str],
        option_string: str | None = None,
    ) -> None:
        """Read the pairs."""
        for value in values:
            if '=' not in value:
                parser.error(f'{option_string}: {value} is not of the form KEY=VALUE')
        super().__call__(parser, namespace, values, option_string)


def count(text: str, least: int = 1) -> int:
    """An argument that is a number from 1, or from another least one."""
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f'{text!r} is no number from {least}')
    return int(text)


def count_from_zero(text: str) -> int:
    """An argument that is a number from 0."""
    return count(text, 0)


def size(text: str) -> tuple[int, int]:
    """An argument WIDTHxHEIGHT as two numbers."""
    sides = text.split('x')
    if len(sides) != 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise argparse.ArgumentTypeError(f'{text!r} is no WIDTHxHEIGHT, such as 640x320')
    width, height = map(int, sides)
    return width, height


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """The argument that changes a config."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        default={},
        help='override settings, such as train_dataloader.batch_size=2 load_from=FILE',
    )


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that MMSegmentation's tools share."""
    add_cfg_options(parser)
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm'], default='none', help='launcher'
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def find_config(path: str) -> str:
    """A config file: the one of this path or, if there is none, the shipped one; says so then.

    Args:
        path (str): The user's own file, or a shipped one such as configs/mlcl/g2ci.py, from any
            folder.

    Returns:
        str: A file that is there.

    Raises:
        MissingFileError: If there is neither.
    """
    if Path(path).is_file():
        return path
    shipped = (CONFIGS.parent / path).resolve()
    if not (shipped.is_relative_to(CONFIGS) and shipped.is_file()):
        raise MissingFileError(
            f'The config {path} does not exist: give a file of your own or one of {CONFIGS}.'
        )
    # standard output may become a file
    print(f'{path} is not in this folder: {shipped} is taken.', file=sys.stderr)
    return str(shipped)


def load_config(path: str, options: dict, work_dir: str | None, launcher: str) -> Config:
    """:func:`read_config`, then :func:`set_work_dir`."""
    config = read_config(path, options, launcher)
    set_work_dir(config, work_dir)
    return config


def read_config(path: str, options: dict, launcher: str) -> Config:
    """Read a config, override settings of it and check them.

    From then on, checkpoints are read safely. The stage before is always under ``stage_before``
    afterwards, also where the config or an option has it under its old name, ``warmup``.

    Args:
        path (str): The config file, for :func:`find_config`.
        options (dict): ``{dotted key: value}``.
        launcher (str): How processes are started.

    Returns:
        Config: The complete config, but for the work dir.

    Raises:
        InputError: If an option's first key is none of the config's settings or addresses the
            stage before, ``stage_before`` is set by its old name as well, or :func:`check_config`
            refuses a key or a value.
        MissingFileError: If the config is not there.
    """
    use_safe_loading()
    path = find_config(path)
    try:
        config = Config.fromfile(path)
    except Exception as error:
        # whatever the Python of a config may raise
        raise InputError(
            f'The config {path} cannot be read ({type(error).__name__}: {error}): correct it.'
        ) from error
    rename_stage_before(config)
    for key, value in with_present_names(options).items():
        check_setting(key, config)
        if key.startswith(f'{STAGE_BEFORE}.') and config.get(STAGE_BEFORE):
            raise InputError(
                f'--cfg-options: {key} changes the stage before, which tools/train.py alone runs: '
                f'give {config.stage_before} as the config, and the key without {STAGE_BEFORE}.'
            )
        try:
            config.merge_from_dict({key: value})
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise InputError(
                f'--cfg-options: {key}={value} does not fit {path} ({error}): correct it.'
            ) from error
    config.launcher = launcher
    check_config(config)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if (config.get(name) or {}).get('num_workers') == 0:
            # PyTorch takes True with workers only
            config[name].persistent_workers = False
    hooks = config.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if hook is None]:
        if name not in HOOKS_OF_MMENGINE:
            del hooks[name]
    return config


def rename_stage_before(config: Config) -> None:
    """Let a config have the stage before under the present name of the setting alone.

    Raises:
        InputError: If it has it under both names, and they are not the same.
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
            f'is the old name of the same setting: use {STAGE_BEFORE} alone.'
        )
    config[STAGE_BEFORE] = old


def with_present_names(options: dict[str, Any]) -> dict[str, Any]:
    """Options with the present name of the setting that names the stage before.

    Raises:
        InputError: If one is given under both names.
    """
    renamed: dict[str, Any] = {}
    for key, value in options.items():
        first, dot, rest = key.partition('.')
        name = f'{STAGE_BEFORE}{dot}{rest}' if first == OLD_STAGE_BEFORE else key
        if name in renamed:
            raise InputError(
                f'--cfg-options: {key} and {name} are the same setting: give one of them.'
            )
        renamed[name] = value
    return renamed


def set_work_dir(config: Config, work_dir: str | None = None) -> None:
    """Choose the folder of a run, and the name by which MMEngine knows it.

    Args:
        config (Config): It is changed.
        work_dir (str, optional): Folder for logs and checkpoints. By default the config's, or
            work_dirs/<folder of the config>/<name of the config>.
    """
    if work_dir is not None:
        config.work_dir = work_dir
    elif config.get('work_dir') is None:
        resolved = Path(config.filename).resolve()
        config.work_dir = str(Path('work_dirs', resolved.parent.name, resolved.stem))
    if config.get('experiment_name') is None:
        # MMEngine's default, the config's name and the second, may be the same for two stages,
        # which would then share their log and their best score
        folder = Path(config.work_dir).resolve()
        config.experiment_name = f'{folder.parent.name}_{folder.name}'


def check_setting(key: str, config: Config) -> None:
    """Refuse an option whose first key is no setting; a variable has been used when it is read.

    Raises:
        InputError: If so; the message has the nearest name there is.
    """
    first, settings = key.split('.')[0], known_settings()
    if first in settings or (first in config and first in READ_LATER):
        return
    if first in config:
        raise InputError(
            f'--cfg-options: {first} is a variable that {config.filename} has used already, so '
            'that a change would do nothing: set what was made of it, see tools/print_config.py.'
        )
    known = difflib.get_close_matches(first, [*config, *settings], n=1)
    hint = f', did you mean {known[0]}?' if known else '.'
    raise InputError(f'--cfg-options: {key} is no setting of {config.filename}{hint}')


def check_writable(folder: str, option: str) -> None:
    """Make a folder; refuse one in which no file can be made.

    Args:
        folder (str): The folder.
        option (str): What chooses it, for the message.

    Raises:
        InputError: If it cannot be written.
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
    """Join the processes of this launch; nothing happens with the launcher 'none'.

    MMEngine's launchers expect an accelerator. Without one, the processes talk by gloo.

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
                f'--launcher {launcher} needs the variable {name}: start with {starter}.'
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
                '--launcher slurm on several nodes without GPUs needs the variable MASTER_ADDR: '
                'export the name of the first node.'
            )
        os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
        os.environ.setdefault('MASTER_PORT', '29500')
    torch.distributed.init_process_group('gloo')
