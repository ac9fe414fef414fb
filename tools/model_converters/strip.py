"""Keep only the weights that deployment needs: mlcl strip SRC DST."""

import argparse
import io
from pathlib import Path

import torch

from mlcl_mmseg.command_line import check_writable
from mlcl_mmseg.deployment.strip import strip
from mlcl_mmseg.durable_files import write_durably
from mlcl_mmseg.errors import printable
from mlcl_mmseg.outputs import add_overwrite, check_outputs
from mlcl_mmseg.safe_load import read_checkpoint
from mlcl_mmseg.tool_exit import end_with_sentence


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Keep only the weights that deployment needs')
    parser.add_argument('source', metavar='SRC', type=Path, help='a checkpoint of tools/train.py')
    parser.add_argument('destination', metavar='DST', type=Path, help='the new checkpoint, a .pth')
    add_overwrite(parser)
    return parser.parse_args()


def main() -> None:
    """Strip the checkpoint that the command line names."""
    args = parse_args()
    check_outputs([args.destination], [args.source], args.overwrite, 'DST')
    check_writable(str(args.destination.parent), 'DST')
    stripped = strip(read_checkpoint(args.source), str(args.source))
    with io.BytesIO() as content:
        torch.save(stripped, content)
        write_durably(args.destination, content.getvalue(), 'start again')
    for path in (args.source, args.destination):
        print(f'{printable(path)}: {path.stat().st_size / 1e6:.1f} MB')


if __name__ == '__main__':
    end_with_sentence(main)
