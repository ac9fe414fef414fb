"""What a run keeps for its report page."""

import json
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch

import mlcl_mmseg
from mlcl_mmseg.engine.run_records import (
    environment,
    evenly_spaced,
    read_pseudo_label,
    write_pseudo_label,
)
from mlcl_mmseg.engine.stages import train_stages
from mlcl_mmseg.evaluation import iou
from mlcl_mmseg.methods.mcl.selection import select_pseudo_label
from mlcl_mmseg.pseudo_labels import load_soft_pseudo_label
from mlcl_mmseg.report.run import read_run

from ..small_run import skip_rehearsal


@pytest.fixture(autouse=True)
def no_rehearsal(monkeypatch):
    skip_rehearsal(monkeypatch)


@pytest.fixture
def trained(toy_config):
    """The work dir of four iterations of MCL, validated and refreshed after two."""
    configs = [toy_config('warmup', 2, 2), toy_config('mlcl', 4, 2)]
    configs[1].custom_hooks[0].interval = 2
    configs[1].default_hooks.run_record.num_images = 2
    configs[1].default_hooks.logger.interval = 2
    train_stages(configs, resume=False)
    return Path(configs[1].work_dir)


def test_versions_of_a_checkout_that_is_not_installed(monkeypatch):
    def not_found(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata.Distribution, 'from_name', not_found)
    assert environment(1, torch.device('cpu'))['mlcl_mmseg'] == mlcl_mmseg.__version__


def test_a_run_keeps_what_its_page_shows(trained):
    run = read_run(trained, 'run')
    assert sorted(run.validations) == sorted(run.records) == [2, 4]
    for step, record in run.records.items():
        domains = ('other_day', 'dusk', 'cityscapes')
        assert tuple(record['confusion']) == tuple(record['images']) == domains
        assert [len(scores) for scores in record['images'].values()] == [5, 3, 4]
        for domain, counts in record['confusion'].items():
            mean = 100 * iou(torch.tensor(counts)).nanmean()
            assert mean == pytest.approx(run.validations[step][domain])
        assert len(record['classes']) == len(record['palette']) == 7
    for path in trained.glob('*/validations/*.json'):
        # strictly: no NaN
        json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert run.environment['processes'] == '1'
    assert run.environment['device'] == 'cpu'
    assert run.environment['PyTorch'] == torch.__version__
    assert 'cores' in run.environment['CPU']

    assert sorted(run.generations) == [0, 2]
    for step, folder in run.generations.items():
        files = sorted(folder.rglob('*.png'))
        # two of each target, the first and the last
        assert len(files) == 6
        for path in files:
            name = path.relative_to(folder).with_suffix('.soft')
            soft = torch.from_numpy(
                load_soft_pseudo_label(str(trained / f'pseudo_labels/iter_{step}' / name))
            )
            hard, kept = read_pseudo_label(path)
            assert np.array_equal(hard, soft.argmax(0).numpy())
            selected = select_pseudo_label(soft[None], size=soft.shape[1:])[0].numpy()
            assert np.array_equal(np.where(kept, hard, 255), selected)


def test_a_warm_up_has_no_pseudo_labels(toy_config):
    config = toy_config('warmup', 2, 2)
    config.default_hooks.logger.interval = 1
    train_stages([config], resume=False)
    run = read_run(config.work_dir, 'run')
    assert sorted(run.records) == [2]
    assert run.generations == {}


def test_the_class_of_a_pixel_that_is_not_kept(tmp_path):
    """Opaque where kept."""
    hard, selected = torch.tensor([[1, 1]]), torch.tensor([[1, 255]])
    write_pseudo_label(tmp_path / 'a/b.png', hard, selected)
    hard, kept = read_pseudo_label(tmp_path / 'a/b.png')
    assert hard.tolist() == [[1, 1]]
    assert kept.tolist() == [[True, False]]


@pytest.mark.parametrize(
    ('count', 'expected'), [(1, [0]), (3, [0, 2, 4]), (5, [0, 1, 2, 3, 4]), (9, [0, 1, 2, 3, 4])]
)
def test_evenly_spaced(count, expected):
    assert evenly_spaced(range(5), count) == expected
