from pathlib import Path

import pytest
from mmengine.config import Config
from yapf.yapflib import yapf_api

from mlcl_mmseg.engine import stages
from mlcl_mmseg.engine.stage_files import COMPLETE, write_marker
from mlcl_mmseg.evaluation import DomainIoUMetric

from ..small_run import load_config, skip_rehearsal
from .pretended_stages import leave_checkpoint, make_config
from .recorded_run import run


@pytest.fixture(autouse=True, scope='session')
def unformatted_configs():
    """Every checkpoint dumps the config through a formatter that takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yapf_api, 'FormatCode', lambda text, **_: (text, False))
        yield


@pytest.fixture
def toy_config(toy_data, tmp_path, monkeypatch):
    """:func:`load_config` in this test's folder."""
    monkeypatch.setenv('MLCL_REAL_DATA', str(toy_data))

    def load(stage: str, max_iters: int, val_interval: int, **options) -> Config:
        return load_config(stage, tmp_path / stage, max_iters, val_interval, **options)

    return load


@pytest.fixture
def warmup_checkpoint(toy_config):
    """The best one of a warm-up."""
    run(toy_config('warmup', 2, 2))
    config = toy_config('warmup', 2, 2)
    (best,) = Path(config.work_dir).glob('best_mIoU_iter_*.pth')
    return str(best)


@pytest.fixture
def falling_scores(monkeypatch):
    """The first validation stays the best."""
    scores = iter(range(90, 0, -10))
    monkeypatch.setattr(
        DomainIoUMetric, 'compute_metrics', lambda *_: {'mIoU': float(next(scores))}
    )


@pytest.fixture
def configs(tmp_path):
    """Warm-up and MCL."""
    return [make_config(tmp_path / 'warmup'), make_config(tmp_path / 'mlcl')]


@pytest.fixture
def trained(monkeypatch):
    """What has been trained: (name of the work dir, load_from, resume); files as a run leaves."""
    calls = []

    def train_stage(config, settings):
        work_dir = Path(config.work_dir)
        calls.append((work_dir.name, config.load_from, config.resume))
        leave_checkpoint(config, settings)
        (work_dir / 'best_mIoU_iter_7.pth').touch()
        marker = dict(best_checkpoint='best_mIoU_iter_7.pth', iterations=10, settings=settings)
        write_marker(config, COMPLETE, marker)

    monkeypatch.setattr(stages, 'train_stage', train_stage)
    skip_rehearsal(monkeypatch)
    return calls
