"""Draw a toy world of street scenes in the folders of the four data sets."""

import argparse
from pathlib import Path

from mlcl_mmseg.command_line import check_writable, count, size
from mlcl_mmseg.errors import printable
from mlcl_mmseg.outputs import add_overwrite
from mlcl_mmseg.tool_exit import end_with_sentence
from mlcl_mmseg.toy_world import write_toy_world


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Draw a toy world of street scenes in the folders of the four data sets.'
    )
    parser.add_argument('out', help='the new folder, which can be used as MLCL_DATA_ROOT')
    parser.add_argument(
        '--images', type=int, default=200, help='training images per domain (default: 200)'
    )
    parser.add_argument(
        '--val-images',
        type=int,
        help='validation images per target (default: a quarter of --images)',
    )
    parser.add_argument(
        '--size', type=size, default=(640, 320), metavar='WxH', help='in pixels (default: 640x320)'
    )
    parser.add_argument('--seed', type=int, default=0, help='default: 0')
    parser.add_argument(
        '--workers', type=count, help='number of processes (default: one per CPU core)'
    )
    add_overwrite(parser)
    return parser.parse_args()


def main() -> None:
    """Write the toy world, unless it exists already."""
    args = parse_args()
    check_writable(str(Path(args.out).resolve().parent), 'OUT')
    numbers = args.images, args.size, args.seed, args.val_images, args.workers
    new = write_toy_world(args.out, *numbers, replace=args.overwrite)
    print(f'{printable(args.out)}: the toy world {"is complete" if new else "exists already"}.')


if __name__ == '__main__':
    end_with_sentence(main)
