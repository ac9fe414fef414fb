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


@pytest.mark.parametrize(
    ('options', 'variables', 'messages'),
    [
        (['--out', 'file'], {}, ['file cannot be written', 'choose another with --out']),
        (
            [],
            dict(MLCL_PREPARED_ROOT='file'),
            ['file/GTA5/640x320 cannot be written', 'choose another --out'],
        ),
        (['--workers', '-1'], {}, ['--workers: -1 is no number of processes: give 0 or more']),
    ],
)
def test_what_the_user_can_mend(world, tmp_path, options, variables, messages):
    (tmp_path / 'file').write_text('')
    in_place = {'file': str(tmp_path / 'file')}
    options = [in_place.get(each, each) for each in options]
    variables = {name: in_place[each] for name, each in variables.items()}
    command = [sys.executable, TOOL, CONFIG, *options]
    output = call(command, MLCL_DATA_ROOT=str(world), fails=True, **variables)
    assert all(message in output for message in messages)
    assert 'Traceback' not in output
