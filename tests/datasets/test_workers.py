"""Workers of loaders: a number in the config, else one by cores and data."""

import os

import pytest

from mlcl_mmseg.command_line import load_config
from mlcl_mmseg.datasets.workers import describe_workers, num_workers

CONFIG = 'configs/mlcl/g2ci.py'
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """32 cores, one process, no data."""
    monkeypatch.setattr(os, 'sched_getaffinity', lambda process: set(range(32)))
    for name in ('SLURM_CPUS_PER_TASK', 'LOCAL_WORLD_SIZE'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('MLCL_DATA_ROOT', str(tmp_path))


def prepare(root, *names):
    for name in names:
        (root / name).mkdir()
        (root / name / 'prepared.json').touch()


def numbers(**options):
    config = load_config(CONFIG, options, None, 'none')
    return [config[name].num_workers for name in LOADERS]


@pytest.mark.parametrize(
    ('cores', 'prepared', 'expected'),
    [(1, False, 0), (2, False, 1), (8, False, 7), (64, False, 16), (4, True, 3), (64, True, 4)],
)
def test_by_cores_and_data(cores, prepared, expected):
    assert num_workers(cores, prepared) == expected


@pytest.mark.parametrize(
    ('environment', 'expected'),
    [
        (dict(LOCAL_WORLD_SIZE='8'), 3),
        (dict(LOCAL_WORLD_SIZE='32'), 0),
        (dict(SLURM_CPUS_PER_TASK='5'), 4),
        (dict(SLURM_CPUS_PER_TASK='16', LOCAL_WORLD_SIZE='4'), 3),
        (dict(SLURM_CPUS_PER_TASK='99'), 16),
    ],
)
def test_processes_share_cores(environment, expected, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert numbers() == [expected] * 3


def test_each_loader_by_its_own_data(tmp_path):
    prepare(tmp_path, 'Cityscapes', 'IDD_Segmentation')
    assert numbers() == [16, 4, 4]
    prepare(tmp_path, 'GTA5')
    assert numbers() == [4] * 3


def test_workers_of_validations_persist(monkeypatch):
    config = load_config(CONFIG, {}, None, 'none')
    assert [config[name].get('persistent_workers') for name in LOADERS] == [None, True, True]
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '32')
    config = load_config(CONFIG, {}, None, 'none')
    assert not any(config[name].persistent_workers for name in LOADERS)


def test_a_number_stays_and_the_log_says_why(tmp_path):
    options = {'train_dataloader.num_workers': 2}
    assert numbers(**options) == [2, 16, 16]
    sentence = describe_workers(load_config(CONFIG, options, None, 'none'))
    assert sentence == 'train_dataloader.num_workers is 2, as it was set.'
    sentence = describe_workers(load_config(CONFIG, {}, None, 'none'))
    assert sentence == (
        'train_dataloader.num_workers is 16, for original images, not prepared copies, and 32 CPU '
        'cores of this process.'
    )
    prepare(tmp_path, 'GTA5', 'Cityscapes', 'IDD_Segmentation')
    sentence = describe_workers(load_config(CONFIG, {}, None, 'none'))
    assert 'is 4, for prepared copies and 32 CPU cores' in sentence
