"""Copy what a config reads at its working size, for faster trainings: mlcl prepare CONFIG.

Images, and labels where they are read, are copied as they are after the pipelines' Resize, in the
folders of their data sets. MLCL_DATA_ROOT then names the copies. An interrupted run continues where
it stopped; what is damaged or has changed is made again.
"""

import argparse
from pathlib import Path

from mmseg.utils import register_all_modules
from prettytable import PrettyTable

import mlcl_mmseg  # noqa: F401
from mlcl_mmseg.command_line import add_cfg_options, check_writable, end_with_sentence, load_config
from mlcl_mmseg.datasets.prepare import prepare_config


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Copy the images and labels that a config reads at its working size.'
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--out',
        type=Path,
        help='folder of the copies (default: that of the data sets and the working size, such as '
        'data_640x320)',
    )
    parser.add_argument(
        '--workers', type=processes, help='processes (default: one a CPU core; 0: this one)'
    )
    add_cfg_options(parser)
    return parser.parse_args()


def processes(text: str) -> int:
    """An argument that is a number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f'{text} is no number of processes: give 0 or more')
    return int(text)


def main() -> None:
    """Prepare what the command line names."""
    args = parse_args()
    register_all_modules()
    config = load_config(args.config, args.cfg_options, None, 'none')
    if args.out is not None:
        check_writable(str(args.out), '--out')
    out, summaries = prepare_config(config, args.out, args.workers)
    table = PrettyTable(['copy', 'images', 'new', 'MB'])
    table.align = 'r'
    table.align['copy'] = 'l'
    for each in summaries:
        table.add_row([each.folder, each.images, each.made, f'{each.size / 1e6:.0f}'])
    print(table)
    print(f'Trainings read it with: export MLCL_DATA_ROOT={out}')


if __name__ == '__main__':
    end_with_sentence(main)
