"""tools/check_data.py on a toy world, whole and damaged."""

import json
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from mlcl_mmseg.datasets.toy import write_toy_world

from .test_train_and_test import ROOT, call

TOOL = ROOT / 'tools/check_data.py'
CONFIG = ROOT / 'configs/mlcl/g2cmi.py'


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp('whole') / 'data'
    write_toy_world(root, 3, (96, 64), seed=0, num_validation_images=2, num_workers=1)
    return root


@pytest.fixture
def world(whole, tmp_path):
    shutil.copytree(whole, tmp_path / 'data')
    return tmp_path / 'data'


def check(world, fails, config=CONFIG, *arguments):
    folder = world.parent
    files = ['--json', folder / 'report.json', '--chart', folder / 'chart.png']
    command = [sys.executable, TOOL, config, *files, '--workers', '2', *arguments]
    output = call(command, MLCL_DATA_ROOT=str(world), fails=fails)
    report = json.loads((folder / 'report.json').read_text())
    assert report['ok'] != fails
    return output, report


def test_a_whole_world(world):
    output, report = check(world, False)
    assert report['problems'] == report['notes'] == []
    assert '0 things are wrong.' in output
    names = [domain['name'] for domain in report['domains']]
    targets = ('cityscapes', 'mapillary', 'idd')
    assert names == [
        'source gta5',
        *(f'target {name}' for name in targets),
        *(f'validation {name}' for name in targets),
    ]
    by_name = {domain['name']: domain for domain in report['domains']}
    assert [domain['num_images'] for domain in report['domains']] == [3, 3, 3, 3, 2, 2, 2]
    assert by_name['target idd']['class_pixels'] == {}
    # counted by hand: raw ids 7 and 8 are road and pavement, which are flat
    labels = [np.asarray(Image.open(path)) for path in (world / 'GTA5/labels').glob('*.png')]
    flat = sum(int(np.isin(label, (6, 7, 8, 9, 10, 22)).sum()) for label in labels)
    found = by_name['source gta5']
    assert found['class_pixels']['flat'] == flat
    total = sum(label.size for label in labels)
    assert found['ignored'] == pytest.approx(1 - sum(found['class_pixels'].values()) / total)
    with Image.open(world.parent / 'chart.png') as chart:
        assert len(set(chart.convert('RGB').resize((200, 100)).getdata())) > 20


def test_everything_that_is_wrong_is_told_at_once(world):
    """Damaged, unpaired, of another mode, size or id space, and validated on what is trained."""
    gta5, cityscapes = world / 'GTA5', world / 'Cityscapes'
    image = gta5 / 'images/00000.png'
    image.write_bytes(image.read_bytes()[:200])
    Image.open(gta5 / 'labels/00001.png').convert('RGB').save(gta5 / 'labels/00001.png')
    label = next((cityscapes / 'gtFine/val').rglob('*_labelIds.png'))
    Image.fromarray(np.full((64, 96), 99, np.uint8)).save(label)
    idd = sorted((world / 'IDD_Segmentation/gtFine/val').rglob('*.png'))
    Image.open(idd[0]).resize((48, 32)).save(idd[0])
    next((world / 'Mapillary/validation/v1.2/labels').glob('*.png')).unlink()
    trained = next((world / 'IDD_Segmentation/leftImg8bit/train').rglob('*.png'))
    shutil.copy(trained, next((world / 'IDD_Segmentation/leftImg8bit/val').rglob('*.png')))
    output, report = check(world, True)
    sentences = '\n'.join(report['problems'])
    for part in (
        f'{image} cannot be read',
        'labels/00001.png has mode RGB',
        f'{label} has the ids 99, which CityscapesDomain does not know',
        f'{idd[0]} is 48x32, but its image is 96x64',
        '1 of 2 label images of MapillaryDomain as validation are missing',
        f'validates what {trained} trains, the same image',
    ):
        assert part in sentences
        assert part in output
    assert len(report['problems']) == 6
    assert '6 things are wrong.' in output


def test_what_is_odd_and_handled_is_a_note(world):
    """GTA5's labels of another size, and a label without a class."""
    labels = sorted((world / 'GTA5/labels').glob('*.png'))
    Image.open(labels[0]).resize((192, 128), Image.Resampling.NEAREST).save(labels[0])
    Image.fromarray(np.zeros((64, 96), np.uint8)).save(labels[1])
    output, report = check(world, False)
    assert f'Note: {labels[0]} is 192x128, its image 96x64: both are resized' in output
    assert f'{labels[1]} has no pixel of a class: all are ignored.' in '\n'.join(report['notes'])


def test_a_missing_data_set(tmp_path):
    output, report = check(tmp_path / 'nothing', True)
    assert 'does not exist: put or link the data set gta5' in output
    assert report['domains'] == []
