"""Predict images or a video: mlcl predict CONFIG CHECKPOINT INPUT --out DIR."""

import argparse
from pathlib import Path

from mlcl_mmseg.command_line import (
    add_cfg_options,
    check_writable,
    count,
    end_with_sentence,
    load_config,
)
from mlcl_mmseg.deployment.inputs import Video, find_images, is_video
from mlcl_mmseg.deployment.pictures import Style, predict_images, predict_video
from mlcl_mmseg.deployment.predictor import Predictor
from mlcl_mmseg.deployment.segmentor import find_device, load_segmentor
from mlcl_mmseg.engine.precision import PRECISIONS
from mlcl_mmseg.errors import InputError


def share(text: str) -> float:
    """An argument from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no number from 0 to 1')
    return value


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Predict images or a video')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        'input', nargs='+', help='images, a folder with all below it, a pattern, or one video'
    )
    parser.add_argument('--out', type=Path, required=True, help='folder of the predictions')
    parser.add_argument(
        '--side-by-side', action='store_true', help='also write image and overlay side by side'
    )
    parser.add_argument(
        '--confidence', action='store_true', help='also write the probability of the class, in grey'
    )
    parser.add_argument(
        '--opacity', type=share, default=0.5, help='of the colours, 0 to 1 (default: 0.5)'
    )
    parser.add_argument(
        '--frames', action='store_true', help='of a video, also write the indices of each frame'
    )
    parser.add_argument('--batch-size', type=count, default=1, help='images at a time (default: 1)')
    parser.add_argument('--device', help='such as cpu or cuda:1 (default: the GPU, if any)')
    parser.add_argument('--precision', choices=PRECISIONS, default='fp32', help='default: fp32')
    parser.add_argument(
        '--amp', dest='precision', action='store_const', const='fp16', help='--precision fp16'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace what is there')
    add_cfg_options(parser)
    return parser.parse_args()


def check_input(args: argparse.Namespace) -> None:
    """Refuse an input that the predictions would add to, or that mixes videos with others.

    Raises:
        InputError: If so.
    """
    videos = [source for source in args.input if is_video(source)]
    if videos and len(args.input) > 1:
        raise InputError(f'{videos[0]} is a video: predict each video by a command of its own.')
    if args.frames and not videos:
        raise InputError('--frames is for a video: leave it out.')
    for source in filter(Path.is_dir, map(Path, args.input)):
        if args.out.resolve().is_relative_to(source.resolve()):
            raise InputError(
                f'--out {args.out} lies in {source}, whose images are predicted: choose another.'
            )


def main() -> None:
    """Predict what the command line says."""
    args = parse_args()
    config = load_config(args.config, args.cfg_options, None, 'none')
    device = find_device(args.device)
    check_input(args)
    check_writable(str(args.out), '--out')
    video = Video(args.input[0]) if is_video(args.input[0]) else None
    images = {} if video else find_images(args.input)
    model = load_segmentor(config, args.checkpoint, device)
    predictor = Predictor(model, config, args.precision)
    style = Style(model.dataset_meta['palette'], args.opacity, args.side_by_side, args.confidence)
    options = dict(batch_size=args.batch_size, overwrite=args.overwrite)
    if video is None:
        predict_images(predictor, images, args.out, style, **options)
        images_told = '1 image' if len(images) == 1 else f'{len(images)} images'
        print(f'{args.out}: {", ".join(style.kinds)} of {images_told}.')
        return
    frames = predict_video(predictor, video, args.out, style, frames=args.frames, **options)
    of_all = f' of {video.length}' if video.length > frames else ''
    print(f'{args.out}: {frames}{of_all} frames of {args.input[0]}.')


if __name__ == '__main__':
    end_with_sentence(main)
