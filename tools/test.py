"""Evaluate a segmentor per domain and class: mlcl test CONFIG CHECKPOINT."""

import argparse

from mmengine.runner import Runner

from mlcl_mmseg.command_line import (
    add_common_arguments,
    check_writable,
    end_with_sentence,
    load_config,
    start_processes,
)
from mlcl_mmseg.engine.stage_files import check_checkpoint


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Evaluate a segmentor per domain and class')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='folder for the figures, which are written as JSON')
    parser.add_argument('--out', help='folder for predictions, PNG files of class indices')
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Evaluate the checkpoint that the command line names."""
    args = parse_args()
    config = load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
    check_checkpoint(args.checkpoint)
    check_writable(config.work_dir, '--work-dir')
    config.load_from = args.checkpoint
    config.resume = False
    if args.out is not None:
        check_writable(args.out, '--out')
        config.test_evaluator.output_dir = args.out
    start_processes(args.launcher, config, args.local_rank)
    Runner.from_cfg(config).test()


if __name__ == '__main__':
    end_with_sentence(main)
