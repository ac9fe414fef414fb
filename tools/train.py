"""Train a segmentor, after the stages before it if they are needed: mlcl train CONFIG."""

import argparse

from mlcl_mmseg.command_line import (
    add_common_arguments,
    add_precision,
    check_writable,
    start_processes,
)
from mlcl_mmseg.engine.precision import use_precision
from mlcl_mmseg.engine.stages import train_stages
from mlcl_mmseg.stage_chain import read_stages
from mlcl_mmseg.tool_exit import end_with_sentence


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Train a segmentor, after the stages before it if they are needed.'
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir',
        help='folder for logs and checkpoints; each stage before has a subfolder, such as warmup',
    )
    parser.add_argument(
        '--resume', action='store_true', help='continue the unfinished stage in the work dir'
    )
    add_precision(parser, 'training')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rates with the total batch size of all processes',
    )
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Train the stages of the config that the command line names."""
    args = parse_args()
    stages = read_stages(args.config, args.cfg_options, args.work_dir, args.launcher)
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
