"""Copy the shipped configs, to edit them or to base others on them: mlcl copy_configs [DIR]."""

import argparse
import os
from pathlib import Path

from mlcl_mmseg.command_line import check_writable
from mlcl_mmseg.durable_files import write_durably
from mlcl_mmseg.errors import InputError, printable
from mlcl_mmseg.outputs import add_overwrite, check_outputs
from mlcl_mmseg.shipped import CONFIGS
from mlcl_mmseg.tool_exit import end_with_sentence


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Copy the shipped configs, to edit them or to base others on them.'
    )
    parser.add_argument(
        'out',
        metavar='DIR',
        nargs='?',
        type=Path,
        default=Path('configs'),
        help='the new folder (default: configs)',
    )
    add_overwrite(parser)
    return parser.parse_args()


def main() -> None:
    """Copy the configs to the folder that the command line names.

    Raises:
        InputError: If the folder exists already, or is the folder of the shipped configs.
    """
    args = parse_args()
    if Path(os.path.realpath(args.out)).is_relative_to(CONFIGS):
        raise InputError(f'{args.out} contains the shipped configs themselves: choose another DIR.')
    check_outputs([args.out], overwrite=args.overwrite, option='DIR')
    check_writable(str(args.out), 'DIR')
    for source in sorted(CONFIGS.rglob('*')):
        if source.is_file() and source.parent.name != '__pycache__':
            write_durably(args.out / source.relative_to(CONFIGS), source.read_bytes(), 'try again')
    print(f'{printable(args.out)} contains the shipped configs.')


if __name__ == '__main__':
    end_with_sentence(main)
