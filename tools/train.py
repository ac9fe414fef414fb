"""Train a segmentor: python tools/train.py CONFIG."""

import argparse
import difflib
import os
import sys
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.runner import Runner, find_latest_checkpoint

# settings of MMEngine's Runner that a config may leave out
OPTIONAL_SETTINGS = (
    'work_dir',
    'experiment_name',
    'load_from',
    'resume',
    'auto_scale_lr',
    'sync_bn',
    'find_unused_parameters',
    'activation_checkpointing',
    'efficient_conv_bn_eval',
    'compile',
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a segmentor')
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints')
    parser.add_argument(
        '--resume', action='store_true', help='go on from the latest checkpoint in the work dir'
    )
    parser.add_argument('--amp', action='store_true', help='train with automatic mixed precision')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rates with the batch size over all processes',
    )
    add_common_arguments(parser)
    return parser.parse_args()


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that MMSegmentation's tools share."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings, such as train_dataloader.batch_size=2 load_from=FILE',
    )
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='launcher'
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def load_config(args: argparse.Namespace, load_from: str | None = None) -> Config:
    """Read the config, apply the command line, choose the work dir, set up the launcher.

    Args:
        args (argparse.Namespace): Of :func:`add_common_arguments`, and ``config``, ``work_dir``.
        load_from (str, optional): A checkpoint to load, whatever the config says.

    Returns:
        Config: Its default work dir is work_dirs/<folder of the config>/<name of the config>.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    config = Config.fromfile(args.config)
    config.launcher = args.launcher
    if args.cfg_options is not None:
        check_options(args.cfg_options, config)
        config.merge_from_dict(args.cfg_options)
    if load_from is not None:
        config.load_from = load_from
    check_checkpoint(config.get('load_from'))
    if args.work_dir is not None:
        config.work_dir = args.work_dir
    elif config.get('work_dir') is None:
        path = Path(args.config).resolve()
        config.work_dir = str(Path('work_dirs', path.parent.name, path.stem))
    if args.launcher == 'pytorch' and not torch.cuda.is_available():
        # MMEngine's launcher expects an accelerator; it takes a group that is there as it is
        torch.distributed.init_process_group('gloo')
    return config


def check_options(options: dict, config: Config) -> None:
    """End with a sentence if an option's first key is none of the config's settings."""
    for key in options:
        first = key.split('.')[0]
        if first not in config and first not in OPTIONAL_SETTINGS:
            known = difflib.get_close_matches(first, [*config, *OPTIONAL_SETTINGS], n=1)
            hint = f', did you mean {known[0]}?' if known else '.'
            sys.exit(f'--cfg-options: {key} is no setting of {config.filename}{hint}')


def check_checkpoint(path: str | None) -> None:
    """End with a sentence if a local checkpoint is not there."""
    if path is not None and '://' not in path and not Path(path).is_file():
        sys.exit(f'The checkpoint {path} does not exist: give an iter_*.pth or best_*.pth.')


def enable_amp(optim_wrapper: dict) -> None:
    """Turn one optimiser wrapper config, or each of several, to automatic mixed precision."""
    if 'optimizer' in optim_wrapper:
        optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
        return
    for value in optim_wrapper.values():
        if isinstance(value, dict) and 'optimizer' in value:
            enable_amp(value)


def resume_from_latest(config: Config) -> None:
    """Resume the latest checkpoint of the work dir, if any; ImageNet is not needed then."""
    latest = find_latest_checkpoint(config.work_dir)
    config.resume = latest is not None
    if latest is None:
        print(f'{config.work_dir} has no checkpoint to resume: training starts anew.')
        return
    config.load_from = latest
    config.model.backbone.init_cfg = None


def main() -> None:
    args = parse_args()
    config = load_config(args)
    if args.amp and not torch.cuda.is_available():
        sys.exit('--amp needs a GPU: leave it out.')
    if args.amp:
        enable_amp(config.optim_wrapper)
    if args.auto_scale_lr:
        config.auto_scale_lr.enable = True
    if args.resume or (config.resume and config.load_from is None):
        resume_from_latest(config)
    Runner.from_cfg(config).train()


if __name__ == '__main__':
    main()
