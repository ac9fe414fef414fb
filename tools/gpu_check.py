"""Check in minutes what a GPU makes of a config: mlcl gpu-check CONFIG.

It needs no data set. It writes gpu_check.json and gpu_check.html, and prints a summary.
"""

import argparse
import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mlcl_mmseg.benchmark.check_page import check_page
from mlcl_mmseg.benchmark.check_text import summary
from mlcl_mmseg.benchmark.gpu_check import GPUCheck, failures
from mlcl_mmseg.command_line import add_cfg_options, check_writable
from mlcl_mmseg.durable_files import write_durably
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.outputs import add_overwrite, check_outputs
from mlcl_mmseg.stage_chain import read_stages
from mlcl_mmseg.tool_exit import end_with_sentence

JSON, PAGE = 'gpu_check.json', 'gpu_check.html'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Check in minutes what a GPU makes of a config: the same results as on the '
        'CPU, seconds and memory of a step in each precision, the largest batch, the loader, the '
        'hours of the whole training, and what to change.'
    )
    parser.add_argument(
        'config', nargs='?', default='configs/mlcl/g2ci.py', help='config file (default: g2ci)'
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/gpu_check'),
        help='folder for the figures and the page (default: work_dirs/gpu_check)',
    )
    parser.add_argument(
        '--minutes',
        type=minutes,
        default=5,
        help='time for the check (default: 5); a step that has begun is not interrupted',
    )
    parser.add_argument(
        '--device', choices=['cuda', 'cpu'], default='cuda', help='what to check (default: cuda)'
    )
    add_overwrite(parser)
    add_cfg_options(parser)
    return parser.parse_args()


def minutes(text: str) -> float:
    """Parse an argument that is a positive number."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f'{text!r} is not a positive number')
    return found


def save(out: Path, figures: dict[str, Any]) -> None:
    """Write the figures and the page of a check, in place of those of its earlier parts."""
    content = json.dumps(storable(figures), indent=1, allow_nan=False)
    write_durably(out / JSON, f'{content}\n'.encode(), 'start again')
    write_durably(out / PAGE, check_page(figures).encode(), 'start again')


def storable(value: Any) -> Any:
    """Copy figures with None for numbers that are not finite, which JSON does not have."""
    if isinstance(value, dict):
        return {key: storable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [storable(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def main() -> None:
    """Check a device, and write and print the results.

    Raises:
        InputError: If there is no GPU to check or a file exists, or at the end if a part of the
            check has failed.
    """
    args = parse_args()
    if args.device == 'cuda' and not torch.cuda.is_available():
        raise InputError(
            'PyTorch finds no GPU: install a driver and a PyTorch that fit it, or check the '
            'processor with --device cpu.'
        )
    check_outputs([args.out / JSON, args.out / PAGE], overwrite=args.overwrite)
    check_writable(str(args.out), '--out')
    read = partial(read_stages, args.config, args.cfg_options)
    stages = read()
    check_trains(stages)
    init_default_scope('mmseg')
    check = GPUCheck(stages, lambda: read()[-1], args.device, args.minutes, partial(save, args.out))
    check.run()
    failed = list(failures(check.figures))
    print(summary(check.figures, failed))
    print(f'{args.out / PAGE} shows the check: open it in a browser.')
    if failed:
        raise InputError(
            f'{len(failed)} parts of the check failed, as listed above: {args.out / JSON} has '
            'their tracebacks.'
        )


def check_trains(stages: list[Config]) -> None:
    """Refuse configs that cannot train.

    Raises:
        InputError: If a stage has no settings for training.
    """
    for config in stages:
        if config.get('train_dataloader') is None or config.get('train_cfg') is None:
            raise InputError(
                f'{config.filename} has no train_dataloader or train_cfg: choose a config that '
                'trains.'
            )


if __name__ == '__main__':
    end_with_sentence(main)
