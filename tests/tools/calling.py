"""Call the tools as a person does."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'tests' / 'configs'


def call(command, data='', fails=False, **environment):
    """What a command prints, on both streams; it has to succeed, or to fail."""
    environment = {
        **os.environ,
        'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}',
        'MLCL_REAL_DATA': str(data),
        'OMP_NUM_THREADS': '1',
        **environment,
    }
    command = [str(part) for part in command]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    output = done.stdout + done.stderr
    assert (done.returncode != 0) == fails, output[-4000:]
    return output


def schedule(max_iters, val_interval=2):
    """Options of a short training without loader processes."""
    return [
        f'train_cfg.max_iters={max_iters}',
        f'train_cfg.val_interval={val_interval}',
        f'default_hooks.checkpoint.interval={val_interval}',
        f'default_hooks.logger.interval={max_iters}',
        'train_dataloader.num_workers=0',
        'val_dataloader.num_workers=0',
        'test_dataloader.num_workers=0',
    ]


def best(work_dir):
    (checkpoint,) = Path(work_dir).glob('best_mIoU_iter_*.pth')
    return checkpoint
