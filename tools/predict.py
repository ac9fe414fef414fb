"""Predict images or a video: mlcl predict CONFIG CHECKPOINT INPUT --out DIR."""

import argparse
import os
from pathlib import Path

from mlcl_mmseg.command_line import (
    add_cfg_options,
    add_precision,
    check_writable,
    count,
    load_config,
)
from mlcl_mmseg.deployment.inputs import find_images
from mlcl_mmseg.deployment.pictures import Style, predict_images, predict_video
from mlcl_mmseg.deployment.predictor import Predictor
from mlcl_mmseg.deployment.segmentor import find_device, load_segmentor
from mlcl_mmseg.deployment.videos import Video, is_video
from mlcl_mmseg.engine.precision import choose_precision
from mlcl_mmseg.errors import InputError, printable
from mlcl_mmseg.outputs import add_overwrite
from mlcl_mmseg.tool_exit import end_with_sentence


def share(text: str) -> float:
    """Convert an argument to a number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number from 0 to 1')
    return value


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Predict images or a video')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        'input',
        nargs='+',
        help='images, folders (searched recursively), glob patterns, or one video',
    )
    parser.add_argument('--out', type=Path, required=True, help='folder for the predictions')
    parser.add_argument(
        '--side-by-side', action='store_true', help='also write image and overlay side by side'
    )
    parser.add_argument(
        '--confidence',
        action='store_true',
        help='also write the probability of the predicted class, as a grey image',
    )
    parser.add_argument(
        '--opacity', type=share, default=0.5, help='opacity of the colours, 0 to 1 (default: 0.5)'
    )
    parser.add_argument(
        '--frames', action='store_true', help='also write the class indices of each video frame'
    )
    parser.add_argument(
        '--batch-size', type=count, default=1, help='images per forward pass (default: 1)'
    )
    parser.add_argument('--device', help='device, such as cpu or cuda:1 (default: the GPU, if any)')
    add_precision(parser, 'prediction')
    existing = parser.add_mutually_exclusive_group()
    add_overwrite(existing)
    existing.add_argument(
        '--skip-existing',
        action='store_true',
        help='keep existing files and write only the missing ones, to go on after an interruption',
    )
    add_cfg_options(parser)
    return parser.parse_args()


def check_input(args: argparse.Namespace) -> None:
    """Check that inputs and options fit together.

    Raises:
        InputError: If a video is not the only input, if --frames is used without a video or
            --skip-existing with one, or if --out lies in an input folder, where predictions would
            become inputs of the next run.
    """
    videos = [source for source in args.input if is_video(source)]
    if videos and len(args.input) > 1:
        raise InputError(f'{videos[0]} is a video: predict each video with a separate command.')
    if args.frames and not videos:
        raise InputError('--frames works only with a video: omit it.')
    if args.skip_existing and videos:
        raise InputError('--skip-existing works only with images: omit it.')
    out = Path(os.path.realpath(args.out))
    for source in filter(os.path.isdir, args.input):
        if out.is_relative_to(os.path.realpath(source)):
            raise InputError(
                f'--out {args.out} lies in the input folder {source}: choose another folder.'
            )


def main() -> None:
    """Predict the inputs that the command line names."""
    args = parse_args()
    config = load_config(args.config, args.cfg_options, None, 'none')
    device = find_device(args.device)
    check_input(args)
    precision = choose_precision(args.precision, config, device.startswith('cuda'))
    check_writable(str(args.out), '--out')
    video = Video(args.input[0]) if is_video(args.input[0]) else None
    images = {} if video else find_images(args.input)
    model = load_segmentor(config, args.checkpoint, device)
    predictor = Predictor(model, config, precision)
    style = Style(model.dataset_meta['palette'], args.opacity, args.side_by_side, args.confidence)
    options = dict(batch_size=args.batch_size, overwrite=args.overwrite)
    out = printable(args.out)
    if video is None:
        skip = args.skip_existing
        done = predict_images(predictor, images, args.out, style, **options, skip_existing=skip)
        number = '1 image' if done == 1 else f'{done} images'
        skipped = f', {len(images) - done} existed already' if done < len(images) else ''
        print(f'{out}: {", ".join(style.kinds)} of {number}{skipped}.')
        return
    frames = predict_video(predictor, video, args.out, style, frames=args.frames, **options)
    of_all = f' of {video.length}' if video.length > frames else ''
    print(f'{out}: {frames}{of_all} frames of {printable(args.input[0])}.')


if __name__ == '__main__':
    end_with_sentence(main)
