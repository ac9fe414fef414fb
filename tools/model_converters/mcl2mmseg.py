"""Convert a checkpoint of the released program: mlcl mcl2mmseg SRC DST --config C."""

import argparse
import io
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

import mlcl_mmseg  # noqa: F401
from mlcl_mmseg.command_line import check_writable, load_config
from mlcl_mmseg.durable_files import write_durably
from mlcl_mmseg.errors import InputError, printable
from mlcl_mmseg.methods.base import MultiTargetSegmentor
from mlcl_mmseg.methods.mcl.released.checkpoint import convert, find_network
from mlcl_mmseg.outputs import add_overwrite, check_outputs
from mlcl_mmseg.safe_load import read_checkpoint
from mlcl_mmseg.tool_exit import end_with_sentence


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Convert a warm-up or MCL checkpoint of the released program'
    )
    parser.add_argument('source', metavar='SRC', help='the checkpoint to convert, a .pkl')
    parser.add_argument('destination', metavar='DST', type=Path, help='the new checkpoint, a .pth')
    parser.add_argument('--config', required=True, help='config of the same setting and stage')
    add_overwrite(parser)
    return parser.parse_args()


def build_model(config: Config) -> MultiTargetSegmentor:
    """Build the model of a config; its weights are arbitrary.

    Raises:
        InputError: If the config is not for a stage of the released program.
    """
    init_default_scope('mmseg')
    model = MODELS.build(config.model)
    if not isinstance(model, MultiTargetSegmentor):
        raise InputError(
            f'{config.filename} is neither a warm-up nor MCL: choose one in configs/warmup or '
            'configs/mlcl.'
        )
    return model


def main() -> None:
    """Convert the checkpoint that the command line names."""
    args = parse_args()
    config = load_config(args.config, {}, None, 'none')
    check_outputs([args.destination], [args.source, args.config], args.overwrite, 'DST')
    check_writable(str(args.destination.parent), 'DST')
    network = find_network(read_checkpoint(args.source), args.source)
    model = build_model(config)
    checkpoint = convert(network, model, args.config)
    with io.BytesIO() as content:
        torch.save(checkpoint, content)
        write_durably(args.destination, content.getvalue(), 'start again')
    best = '' if network.best_miou is None else f', recorded mIoU {network.best_miou:.2f}'
    print(f'{printable(args.destination)}: {network.name} of iteration {network.iteration}{best}.')
    print(
        f'Its heads are assigned to {", ".join(model.targets)} in this order, as the file does not '
        'name their domains.'
    )
    if network.left_out:
        print(f'Skipped, because only training needs it: {", ".join(network.left_out)}.')


if __name__ == '__main__':
    end_with_sentence(main)
