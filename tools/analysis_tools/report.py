"""Show runs on a self-contained HTML page: mlcl report WORK_DIR [WORK_DIR ...] --out FILE."""

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path

from mlcl_mmseg.command_line import check_writable, count_from_zero
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.report.page import write_report
from mlcl_mmseg.tool_exit import end_with_sentence


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Show runs on a self-contained HTML page; this also works while they train.'
    )
    parser.add_argument('work_dirs', nargs='+', type=Path, metavar='WORK_DIR')
    parser.add_argument('--out', type=Path, required=True, help='the page, an .html file')
    parser.add_argument(
        '--images',
        type=count_from_zero,
        default=2,
        help='number of best and of worst images to show for each domain (default: 2)',
    )
    parser.add_argument(
        '--imports',
        nargs='+',
        default=[],
        metavar='MODULE',
        help='Python modules of your own that register models or data sets, such as my_package',
    )
    return parser.parse_args()


def import_modules(names: Sequence[str]) -> None:
    """Import the modules that the command line names.

    Raises:
        InputError: If a module does not exist.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise InputError(
                f'--imports {name} cannot be imported ({error}): install it, or add its folder to '
                'PYTHONPATH.'
            ) from error


def main() -> None:
    """Write the page of the runs that the command line names."""
    args = parse_args()
    if args.out.is_dir() or args.out.suffix != '.html':
        raise InputError(f'--out {args.out} is not the name of a page: use one that ends in .html.')
    check_writable(str(args.out.parent), '--out')
    import_modules(args.imports)
    write_report(args.work_dirs, args.out, args.images)
    print(f'{args.out} shows the runs: open it in a browser.')


if __name__ == '__main__':
    end_with_sentence(main)
