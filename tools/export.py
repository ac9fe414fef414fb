"""Export the deployed network: mlcl export CONFIG CHECKPOINT --format onnx --out FILE.

The exported network maps images (B, 3, H, W) float32, RGB from 0 to 1, of any batch size and image
size, to logits (B, C, H, W) or, with --output index, to class indices (B, H, W). The file is kept
only if its outputs agree with PyTorch's.
"""

import argparse
import json
from pathlib import Path

from mmengine.config import Config

from mlcl_mmseg.command_line import add_cfg_options, check_writable, load_config, size
from mlcl_mmseg.datasets.config_domains import size_in
from mlcl_mmseg.deployment.export import (
    FORMATS,
    OUTPUTS,
    DeployedNetwork,
    check_exporter,
    differences,
    export,
    read_export,
)
from mlcl_mmseg.deployment.segmentor import load_segmentor
from mlcl_mmseg.durable_files import writing_durably
from mlcl_mmseg.errors import InputError, printable
from mlcl_mmseg.outputs import add_overwrite, check_outputs
from mlcl_mmseg.tool_exit import end_with_sentence


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Export the deployed network')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--format', choices=FORMATS, required=True, help='onnx, or torch for torch.export'
    )
    parser.add_argument('--out', type=Path, required=True, help='the new file, .onnx or .pt2')
    parser.add_argument(
        '--output', choices=OUTPUTS, default=OUTPUTS[0], help=f'default: {OUTPUTS[0]}'
    )
    parser.add_argument(
        '--size',
        type=size,
        metavar='WxH',
        help="image size for tracing and comparison (default: the test pipeline's)",
    )
    parser.add_argument(
        '--tolerance',
        type=float,
        default=1e-4,
        help='largest difference allowed, relative to the largest logit (default: 1e-4)',
    )
    add_overwrite(parser)
    add_cfg_options(parser)
    return parser.parse_args()


def working_size(config: Config) -> tuple[int, int]:
    """The size (width, height) to which the test pipeline resizes images.

    Raises:
        InputError: If it does not resize images to a fixed size.
    """
    size = size_in(config.get('test_pipeline') or ())
    if size is not None:
        return size
    raise InputError(f'{config.filename} has no fixed image size: use --size WxH.')


def compare(
    network: DeployedNetwork, path: Path, args: argparse.Namespace, size: tuple[int, int]
) -> None:
    """Compare an exported network with the original one and print the differences.

    Args:
        network (DeployedNetwork): The original network.
        path (Path): The exported network.
        args (argparse.Namespace): The command line.
        size (tuple[int, int]): (H, W) of the images.

    Raises:
        InputError: If it cannot be run or the largest difference exceeds the tolerance.
    """
    worst = 0.0
    try:
        exported = read_export(path, args.format)
        for shape, difference in differences(network, exported, size):
            print(f'{"x".join(map(str, shape))}: differs by {difference:.1e} of the largest logit')
            worst = max(worst, difference)
    # whatever a runtime may raise on operations that do not allow other sizes
    except Exception as error:
        reason = (str(error).splitlines() or [''])[0]
        raise InputError(
            f'{args.out} could not be run and has been removed ({type(error).__name__}: '
            f'{reason}): the network has operations that {args.format} cannot compute at every '
            'size, such as the pooling of UPerHead in ONNX; use --format torch.'
        ) from error
    if not worst <= args.tolerance:
        raise InputError(
            f'The largest difference, {worst:.1e}, exceeds --tolerance {args.tolerance:.1e}, so '
            f'{args.out} has been removed: use a larger --tolerance if that is acceptable.'
        )


def main() -> None:
    """Export what the command line says."""
    args = parse_args()
    check_exporter(args.format)
    config = load_config(args.config, args.cfg_options, None, 'none')
    width, height = args.size or working_size(config)
    check_outputs([args.out], [args.checkpoint, args.config], args.overwrite)
    check_writable(str(args.out.parent), '--out')
    model = load_segmentor(config, args.checkpoint)
    network = DeployedNetwork(model, args.output)
    about = dict(
        classes=json.dumps(model.dataset_meta['classes']),
        palette=json.dumps(model.dataset_meta['palette']),
        size=json.dumps([width, height]),
        input='image (B, 3, H, W) float32, RGB from 0 to 1',
    )
    with writing_durably(args.out, 'start again') as partial:
        export(network, partial, args.format, (height, width), about)
        print(f'{printable(args.out)}: {partial.stat().st_size / 1e6:.1f} MB')
        compare(network, partial, args, (height, width))


if __name__ == '__main__':
    end_with_sentence(main)
