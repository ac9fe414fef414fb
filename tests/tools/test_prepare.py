"""tools/dataset_converters/prepare.py on a toy world."""

import sys

import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS

from mlcl_mmseg.datasets.toy import write_toy_world

from .calling import ROOT, call

TOOL = ROOT / 'tools/dataset_converters/prepare.py'
CONFIG = ROOT / 'configs/mlcl/g2ci.py'


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('world') / 'data'
    write_toy_world(root, 3, (96, 64), seed=0, num_validation_images=2, num_workers=1)
    return root


def test_command_line(world, tmp_path, monkeypatch):
    out = tmp_path / 'out'
    variables = dict(MLCL_DATA_ROOT=str(world))
    command = [sys.executable, TOOL, CONFIG, '--workers', '2']
    for new in (3, 0):
        output = call([*command, '--out', out], **variables)
        rows = [line.split() for line in output.splitlines() if f'{out}/' in line]
        assert [row[1::2] for row in rows] == [
            [f'{out}/GTA5/640x320', '3', str(new), '2'],
            [f'{out}/Cityscapes/640x320', '5', str(5 * new // 3), '3'],
            [f'{out}/IDD_Segmentation/640x320', '5', str(5 * new // 3), '3'],
        ]
        assert f'export MLCL_PREPARED_ROOT={out}' in output

    monkeypatch.setenv('MLCL_DATA_ROOT', str(world))
    monkeypatch.setenv('MLCL_PREPARED_ROOT', str(out))
    config = Config.fromfile(CONFIG)
    for loader in (config.train_dataloader, config.val_dataloader):
        dataset = DATASETS.build(loader.dataset)
        for domain in getattr(dataset, 'domains', None) or dataset.datasets:
            assert all('prepared' in domain.get_data_info(each) for each in range(len(domain)))


def test_what_the_user_can_mend(world, tmp_path):
    (tmp_path / 'file').write_text('')
    command = [sys.executable, TOOL, CONFIG, '--out', tmp_path / 'file']
    output = call(command, MLCL_DATA_ROOT=str(world), fails=True)
    assert 'file cannot be written' in output and 'choose another with --out' in output
    assert 'Traceback' not in output
