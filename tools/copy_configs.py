"""Copy the shipped configs, to edit them or to base others on them: mlcl copy_configs [DIR]."""

import argparse
import shutil
from pathlib import Path

from mlcl_mmseg.command_line import check_writable, end_with_sentence
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.shipped import CONFIGS


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
    return parser.parse_args()


def main() -> None:
    """Copy the configs to the folder that the command line names.

    Raises:
        InputError: If the folder exists already.
    """
    args = parse_args()
    if args.out.exists():
        raise InputError(f'{args.out} exists already: choose another DIR.')
    check_writable(str(args.out.parent), 'DIR')
    shutil.copytree(CONFIGS, args.out, ignore=shutil.ignore_patterns('__pycache__'))
    print(f'{args.out} contains the shipped configs.')


if __name__ == '__main__':
    end_with_sentence(main)
