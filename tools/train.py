"""Train a segmentor, its warm-up first if need be: mlcl train CONFIG."""

import argparse
from pathlib import Path

from mmengine.config import Config

from mlcl_mmseg.command_line import (
    add_common_arguments,
    check_writable,
    end_with_sentence,
    load_config,
    start_processes,
)
from mlcl_mmseg.engine.precision import PRECISIONS, use_precision
from mlcl_mmseg.engine.stages import train_stages
from mlcl_mmseg.errors import InputError

WARMUP = 'warmup.'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Train a segmentor, its warm-up first if need be')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir', help='folder for logs and checkpoints; the warm-up goes to its folder warmup'
    )
    parser.add_argument(
        '--resume', action='store_true', help='go on with the unfinished stage in the work dir'
    )
    parser.add_argument(
        '--precision', choices=PRECISIONS, help="fp32, tf32, bf16 or fp16; by default the config's"
    )
    parser.add_argument(
        '--amp', dest='precision', action='store_const', const='fp16', help='--precision fp16'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rates with the batch size over all processes',
    )
    add_common_arguments(parser)
    return parser.parse_args()


def load_stages(args: argparse.Namespace) -> list[Config]:
    """The config, preceded by that of the warm-up it names unless ``load_from`` makes it needless.

    ``--cfg-options warmup.KEY=VALUE`` is for the warm-up.

    Raises:
        InputError: If there are options for a warm-up that is not trained, and see
            :func:`load_config`.
    """
    options, warmup_options = {}, {}
    for key, value in args.cfg_options.items():
        if key.startswith(WARMUP):
            warmup_options[key.removeprefix(WARMUP)] = value
        else:
            options[key] = value
    config = load_config(args.config, options, args.work_dir, args.launcher)
    if config.get('warmup') is None or config.get('load_from') is not None:
        if warmup_options:
            raise InputError(
                f'--cfg-options: {WARMUP}{next(iter(warmup_options))} is for a warm-up, but this '
                'run trains none: leave it out.'
            )
        return [config]
    work_dir = None if args.work_dir is None else str(Path(args.work_dir, 'warmup'))
    return [load_config(config.warmup, warmup_options, work_dir, args.launcher), config]


def main() -> None:
    """Train what the command line says."""
    args = parse_args()
    stages = load_stages(args)
    for config in stages:
        check_writable(config.work_dir, '--work-dir')
        if args.precision is not None:
            use_precision(config.optim_wrapper, args.precision)
        if args.auto_scale_lr:
            config.auto_scale_lr.enable = True
    start_processes(args.launcher, stages[-1], args.local_rank)
    train_stages(stages, args.resume or stages[-1].resume)


if __name__ == '__main__':
    end_with_sentence(main)
