"""Copy the shipped configs, to change them or to base others on them: mlcl copy_configs [DIR]."""

import argparse
import shutil
from pathlib import Path

from mlcl_mmseg.command_line import check_writable, end_with_sentence
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.shipped import CONFIGS


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Copy the shipped configs, to change them or to base others on them.'
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
    """Copy to the folder that the command line names, which must be new.

    Raises:
        InputError: If it is there.
    """
    args = parse_args()
    if args.out.exists():
        raise InputError(f'{args.out} is there already: choose another DIR.')
    check_writable(str(args.out.parent), 'DIR')
    shutil.copytree(CONFIGS, args.out, ignore=shutil.ignore_patterns('__pycache__'))
    print(f'{args.out} has the shipped configs.')


if __name__ == '__main__':
    end_with_sentence(main)
