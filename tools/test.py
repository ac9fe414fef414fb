"""Test a segmentor per domain and class: python tools/test.py CONFIG CHECKPOINT."""

import argparse

from mmengine.runner import Runner
from train import add_common_arguments, load_config


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Test a segmentor')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='folder for the figures, as JSON')
    parser.add_argument('--out', help='folder to save predictions in, as PNGs of class indices')
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    config = load_config(args, load_from=args.checkpoint)
    if args.out is not None:
        config.test_evaluator.output_dir = args.out
    Runner.from_cfg(config).test()


if __name__ == '__main__':
    main()
