"""Runs that train for seconds, on drawn scenes."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mlcl_mmseg.engine import stages

CONFIGS = Path(__file__).parent / 'configs'


def shrink(config: Config) -> Config:
    """The same run on a thinner network and smaller images."""
    for dataset in (config.train_dataloader.dataset, config.val_dataloader.dataset):
        for key in ('source_pipeline', 'target_pipeline', 'pipeline'):
            for transform in dataset.get(key, []):
                if transform.type == 'Resize':
                    transform.scale = (64, 32)
                elif transform.type == 'WeakAugmentation':
                    transform.crop_size = (32, 16)
    for hook in config.get('custom_hooks', []):
        if hook.type == 'PseudoLabelHook':
            hook.pipeline[1].scale = (64, 32)
    config.model.backbone.update(base_channels=8, stem_channels=8)
    config.model.decode_head.update(in_channels=64, channels=32, dilations=(1, 2))
    config.train_dataloader.num_workers = config.val_dataloader.num_workers = 0
    config.visualizer.vis_backends = [dict(type='LocalVisBackend')]
    return config


def load_config(stage: str, work_dir: Path, max_iters: int, val_interval: int, **options) -> Config:
    """Config of a small run on drawn scenes, by the stage's name."""
    config = shrink(Config.fromfile(CONFIGS / f'small_{stage}.py'))
    config.work_dir = str(work_dir)
    config.experiment_name = f'{work_dir.parent.name}_{stage}_{max_iters}'
    config.merge_from_dict(
        {
            'train_cfg.max_iters': max_iters,
            'train_cfg.val_interval': val_interval,
            'default_hooks.checkpoint.interval': val_interval,
            'param_scheduler.end': max_iters + 1,
            'launcher': 'none',
            **options,
        }
    )
    return config


def skip_rehearsal(patch: pytest.MonkeyPatch) -> None:
    """Train at once; tests/engine/test_rehearsal.py has the tests of what comes before."""
    patch.setattr(stages, 'rehearse', lambda configs, start: None)
    patch.setattr(stages, 'check_in_full', lambda configs: None)
