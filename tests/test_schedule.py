from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import PARAM_SCHEDULERS

CONFIGS = Path(__file__).parents[1] / 'configs'


@pytest.mark.parametrize('name', ['mlcl/g2ci.py', 'warmup/g2ci.py', 'demo/mlcl.py'])
def test_iteration_k_trains_at_the_released_rate(name):
    """lr · (1 − k/T)^0.9 of T iterations, to the last."""
    config = Config.fromfile(CONFIGS / name)
    total = config.train_cfg.max_iters
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.5e-4)
    scheduler = PARAM_SCHEDULERS.build({**config.param_scheduler, 'optimizer': optimizer})
    assert total in (400, 60000)
    for k in range(total):
        expected = 2.5e-4 * (1 - k / total) ** 0.9
        assert abs(optimizer.param_groups[0]['lr'] - expected) < 1e-12
        optimizer.step()
        scheduler.step()
