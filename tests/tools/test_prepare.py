"""tools/dataset_converters/prepare.py on a toy world."""

import sys

import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS

from mlcl_mmseg.toy_world import write_toy_world

from .calling import ROOT, call

TOOL = ROOT / 'tools/dataset_converters/prepare.py'
CONFIG = ROOT / 'configs/mlcl/g2ci.py'


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('world') / 'data'
    write_toy_world(root, 3, (96, 64), seed=0, num_validation_images=2, num_workers=1)
    return root


def test_command_line(world, tmp_path, monkeypatch):
    """The same config then reads the copies."""
    out = tmp_path / 'out'
    variables = dict(MLCL_DATA_ROOT=str(world))
    command = [sys.executable, TOOL, CONFIG, '--workers', '2']
    for new in (3, 0):
        output = call([*command, '--out', out], **variables)
        rows = [line.split() for line in output.splitlines() if f'| {out}/' in line]
        assert [row[1::2] for row in rows] == [
            [f'{out}/GTA5', '3', str(new), '2'],
            [f'{out}/Cityscapes', '5', str(5 * new // 3), '3'],
            [f'{out}/IDD_Segmentation', '5', str(5 * new // 3), '3'],
        ]
        assert f'export MLCL_DATA_ROOT={out}' in output

    monkeypatch.setenv('MLCL_DATA_ROOT', str(out))
    config = Config.fromfile(CONFIG)
    for loader in (config.train_dataloader, config.val_dataloader):
        dataset = DATASETS.build(loader.dataset)
        for domain in getattr(dataset, 'domains', None) or dataset.datasets:
            image = domain.get_data_info(0)['img_path']
            assert image.startswith(f'{out}/') and image.endswith('.bmp')


@pytest.mark.parametrize(
    ('options', 'messages'),
    [
        (['--out', 'file'], ['file cannot be written', 'choose another with --out']),
        (['--workers', '-1'], ["--workers: '-1' is not an integer of at least 0"]),
    ],
)
def test_errors_the_user_can_fix(world, tmp_path, options, messages):
    (tmp_path / 'file').write_text('')
    options = [str(tmp_path / each) if each == 'file' else each for each in options]
    command = [sys.executable, TOOL, CONFIG, *options]
    output = call(command, MLCL_DATA_ROOT=str(world), fails=True)
    assert all(message in output for message in messages)
    assert 'Traceback' not in output
