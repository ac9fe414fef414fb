"""Stages that leave the files of a training without one."""

from pathlib import Path

import torch
from mmengine.config import Config

from mlcl_mmseg.engine.stage_files import POINTER, STARTED, write_marker
from mlcl_mmseg.engine.stage_settings import fingerprint


def make_config(work_dir: Path, **changes) -> Config:
    return Config(
        dict(
            model=dict(
                type='Stage', backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='a'))
            ),
            train_dataloader=dict(batch_size=4, num_workers=2, dataset=dict(data_root='data')),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, betas=(0.9, 0.99))),
            param_scheduler=dict(type='PolyLR'),
            train_cfg=dict(max_iters=10),
            randomness=dict(seed=0),
            default_hooks=dict(checkpoint=dict(save_best='mIoU')),
            work_dir=str(work_dir),
            load_from=None,
            resume=False,
            **changes,
        )
    )


def leave_checkpoint(config: Config, settings: dict | None = None) -> str:
    """What a run leaves that was killed after iteration 5."""
    settings = settings or fingerprint(config, 'warmup' in config.work_dir)
    write_marker(config, STARTED, dict(settings=settings))
    checkpoint = Path(config.work_dir, 'iter_5.pth')
    torch.save({}, checkpoint)
    Path(config.work_dir, POINTER).write_text(str(checkpoint))
    return str(checkpoint)


def best(config: Config) -> str:
    return str(Path(config.work_dir, 'best_mIoU_iter_7.pth'))
