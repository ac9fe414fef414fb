"""Copy the data that a config reads at its working size, for faster training: mlcl prepare CONFIG.

The images, and the labels that the config reads, are stored as the Resize of the pipelines returns
them, in the same folders as in their data sets. Set MLCL_DATA_ROOT to read the copies. An
interrupted run continues where it stopped. Copies that are damaged or out of date are replaced.
Images that cannot be copied are listed at the end.
"""

import argparse
from pathlib import Path

from mmseg.utils import register_all_modules
from prettytable import PrettyTable

import mlcl_mmseg  # noqa: F401
from mlcl_mmseg.command_line import add_cfg_options, check_writable, count_from_zero, load_config
from mlcl_mmseg.datasets.prepare import prepare_config
from mlcl_mmseg.errors import InputError, printable
from mlcl_mmseg.tool_exit import end_with_sentence


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Copy the images and labels that a config reads at its working size.'
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--out',
        type=Path,
        help='folder of the copies (default: the folder of the data sets followed by the working '
        'size, such as data_640x320)',
    )
    parser.add_argument(
        '--workers',
        type=count_from_zero,
        help='number of processes (default: one for each CPU core; 0: only the main process)',
    )
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    """Copy the data of the config that the command line names."""
    args = parse_args()
    register_all_modules()
    config = load_config(args.config, args.cfg_options, None, 'none')
    if args.out is not None:
        check_writable(str(args.out), '--out')
    prepared = prepare_config(config, args.out, args.workers)
    table = PrettyTable(['copy', 'images', 'new', 'MB'])
    table.align = 'r'
    table.align['copy'] = 'l'
    for each in prepared.copies:
        row = [printable(each.folder), each.images, each.made, f'{each.size / 1e6:.0f}']
        table.add_row(row)
    print(table)
    if prepared.failures:
        for failure in prepared.failures:
            print(f'Failed: {printable(failure)}')
        raise InputError(
            f'{len(prepared.failures)} images could not be copied: correct them, or remove them '
            'from the data set, and start again to continue.'
        )
    print(f'To train on the copies: export MLCL_DATA_ROOT={printable(prepared.folder)}')


if __name__ == '__main__':
    end_with_sentence(main)
