"""Resize what a config reads once, for trainings to come: mlcl prepare CONFIG.

Images, and labels where they are read, are kept as they are after the pipelines' Resize. Trainings
and tests read them from there, whenever a preparation is there. An interrupted run goes on where it
stopped; what is damaged or has changed is made anew.
"""

import argparse

from mmseg.utils import register_all_modules
from prettytable import PrettyTable

import mlcl_mmseg  # noqa: F401
from mlcl_mmseg.command_line import add_cfg_options, check_writable, end_with_sentence, load_config
from mlcl_mmseg.datasets.prepare import prepare_config
from mlcl_mmseg.datasets.prepared import ROOT


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Resize the images and labels that a config reads, once.'
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--out',
        help=f'folder of all preparations (default: {ROOT}, or "prepared" beside each data set)',
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
        check_writable(args.out, '--out')
    table = PrettyTable(['preparation', 'images', 'new', 'MB'])
    table.align = 'r'
    table.align['preparation'] = 'l'
    for folder, images, made, size in prepare_config(config, args.out, args.workers):
        table.add_row([folder, images, made, f'{size / 1e6:.0f}'])
    print(table)
    if args.out is not None:
        print(f'Trainings read it with: export {ROOT}={args.out}')


if __name__ == '__main__':
    end_with_sentence(main)
