"""Evaluate a segmentor per domain and class: mlcl test CONFIG CHECKPOINT."""

import argparse
import os

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mlcl_mmseg.command_line import (
    add_common_arguments,
    add_precision,
    check_writable,
    load_config,
    start_processes,
)
from mlcl_mmseg.deployment.segmentor import check_finite_model
from mlcl_mmseg.engine.precision import choose_precision, predict_in
from mlcl_mmseg.engine.stage_files import check_checkpoint
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.methods.base import segmentor_of
from mlcl_mmseg.outputs import add_overwrite
from mlcl_mmseg.tool_exit import end_with_sentence


class FiniteWeightsHook(Hook):
    """Check the loaded weights before the first image.

    Args:
        path (str): The checkpoint, for the error message.
    """

    # after hooks that replace the weights, such as by averaged ones
    priority = 'LOWEST'

    def __init__(self, path: str) -> None:
        self.path = path

    def before_test_epoch(self, runner: Runner) -> None:
        """Refuse weights that are not finite."""
        check_finite_model(segmentor_of(runner), self.path)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Evaluate a segmentor per domain and class')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    add_precision(parser, 'prediction')
    parser.add_argument('--work-dir', help='folder for the figures, which are written as JSON')
    parser.add_argument('--out', help='folder for predictions, PNG files of class indices')
    add_overwrite(parser)
    add_common_arguments(parser)
    return parser.parse_args()


def check_empty(folder: str, overwrite: bool) -> None:
    """Refuse a folder for predictions that contains anything.

    Raises:
        InputError: If it is not empty and its files may not be replaced.
    """
    if os.path.isdir(folder) and os.listdir(folder) and not overwrite:
        raise InputError(f'{folder} is not empty: choose another --out, or use --overwrite.')


def main() -> None:
    """Evaluate the checkpoint that the command line names."""
    args = parse_args()
    config = load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
    check_checkpoint(args.checkpoint)
    precision = choose_precision(args.precision, config, torch.cuda.is_available())
    check_writable(config.work_dir, '--work-dir')
    config.load_from = args.checkpoint
    config.resume = False
    if args.out is not None:
        check_writable(args.out, '--out')
        check_empty(args.out, args.overwrite)
        config.test_evaluator.output_dir = args.out
    start_processes(args.launcher, config, args.local_rank)
    runner = Runner.from_cfg(config)
    runner.register_hook(FiniteWeightsHook(args.checkpoint))
    predict_in(segmentor_of(runner), precision)
    runner.test()


if __name__ == '__main__':
    end_with_sentence(main)
