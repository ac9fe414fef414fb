"""tools/check_data.py on a toy world, whole and damaged."""

import json
import re
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from mlcl_mmseg.toy_world import write_toy_world

from .calling import ROOT, call

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


@pytest.fixture
def check(world, run_tool, monkeypatch, capsys):
    """Run the tool on the world: what it prints and its report."""

    def check(fails, config=CONFIG, *arguments):
        folder = world.parent
        files = ['--json', folder / 'report.json', '--chart', folder / 'chart.png']
        monkeypatch.setenv('MLCL_DATA_ROOT', str(world))
        with pytest.raises(SystemExit) as ended:
            run_tool('check_data.py', config, *files, '--workers', 2, *arguments)
        assert ended.value.code == fails
        report = json.loads((folder / 'report.json').read_text())
        assert report['ok'] != fails
        return capsys.readouterr().out, report

    return check


def test_a_whole_world(world, check):
    output, report = check(False)
    assert report['problems'] == report['notes'] == []
    assert '0 problems found.' in output
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
    assert all(domain['sizes'] == {'96x64': domain['num_images']} for domain in report['domains'])
    # counted by hand: raw ids 7 and 8 are road and pavement, which are flat
    labels = [np.asarray(Image.open(path)) for path in (world / 'GTA5/labels').glob('*.png')]
    flat = sum(int(np.isin(label, (6, 7, 8, 9, 10, 22)).sum()) for label in labels)
    found = by_name['source gta5']
    assert found['class_pixels']['flat'] == flat
    total = sum(label.size for label in labels)
    labelled = sum(found['class_pixels'].values())
    assert found['ignored'] == pytest.approx(1 - labelled / total)
    assert re.search(rf'source gta5 +\| +3 +\| +96x64 +\| +0 +\| +{labelled:,} ', output)
    with Image.open(world.parent / 'chart.png') as chart:
        assert len(set(chart.convert('RGB').resize((200, 100)).getdata())) > 20


def test_everything_that_is_wrong_is_told_at_once(world, check):
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
    deep = next((world / 'Mapillary/training/images').glob('*.jpg'))
    Image.new('I;16', (96, 64)).save(deep, 'PNG')
    trained = next((world / 'IDD_Segmentation/leftImg8bit/train').rglob('*.png'))
    # the same pixels in another file
    validated = next((world / 'IDD_Segmentation/leftImg8bit/val').rglob('*.png'))
    Image.open(trained).save(validated, compress_level=1)
    assert validated.read_bytes() != trained.read_bytes()
    output, report = check(True)
    sentences = '\n'.join(report['problems'])
    for part in (
        f'{image} cannot be read',
        'labels/00001.png has mode RGB',
        f'{label} has the ids 99, which CityscapesDomain does not define',
        f'{idd[0]} is 48x32, but its image is 96x64',
        '1 of 2 label images of MapillaryDomain as validation are missing',
        f'{deep} has mode I;16, but',
        f'{validated}, used for validation, is the same image as {trained}, used for training',
    ):
        assert part in sentences
        assert part in output
    assert len(report['problems']) == 7
    assert '7 problems found.' in output


def test_all_missing_pairs_are_named(world, check):
    """And the other files of their domain are looked at, those whose label is missing too."""
    labels = sorted((world / 'GTA5/labels').glob('*.png'))
    for label in labels[:2]:
        label.unlink()
    image = world / 'GTA5/images' / labels[0].name
    image.write_bytes(image.read_bytes()[:200])
    Image.fromarray(np.full((64, 96), 99, np.uint8)).save(labels[2])
    alone = sorted((world / 'Cityscapes/leftImg8bit/val').rglob('*.png'))[0]
    alone.unlink()
    output, report = check(True)
    problems = '\n'.join(report['problems'])
    assert '2 of 3 label images of GTA5Domain as source are missing' in problems
    assert f'{image} cannot be read' in problems
    assert f'{labels[2]} has the ids 99' in problems
    assert len(report['problems']) == 3
    source = report['domains'][0]
    assert source['missing_labels'] == [str(label) for label in labels[:2]]
    # 99 is no id: nothing of the third label counts
    assert source['ignored'] == 1
    for label in labels[:2]:
        assert f'Missing: {label}' in output
    shares, note = report['notes']
    assert '_gtFine_labelIds.png has no image: it is not read.' in note
    assert alone.name.removesuffix('_leftImg8bit.png') in note
    assert source['unnamed_ids'] == {'99': 1}
    assert 'Labels of source gta5 have ids that label_map does not name' in shares
    assert shares.endswith('pixels: id 99: 100 %.')


def test_labels_that_are_still_to_be_made(world, check):
    """One sentence, and IDD's images are looked at."""
    for label in (world / 'IDD_Segmentation/gtFine/val').rglob('*_labelids.png'):
        label.unlink()
    _, report = check(True)
    (problem,) = report['problems']
    assert 'has no *_gtFine_labelids.png yet: create them with' in problem
    idd = report['domains'][-1]
    assert (idd['name'], idd['num_images'], len(idd['missing_labels'])) == ('validation idd', 2, 2)
    assert (idd['class_pixels'], idd['ignored']) == ({}, None)


def test_what_is_odd_and_handled_is_a_note(world, check):
    """GTA5's labels of another size, and a label without a class."""
    labels = sorted((world / 'GTA5/labels').glob('*.png'))
    Image.open(labels[0]).resize((192, 128), Image.Resampling.NEAREST).save(labels[0])
    Image.fromarray(np.zeros((64, 96), np.uint8)).save(labels[1])
    grey = next((world / 'Cityscapes/leftImg8bit/train').rglob('*.png'))
    Image.open(grey).convert('L').save(grey)
    output, report = check(False)
    assert f'Note: {labels[0]} is 192x128 and its image is 96x64: both are resized' in output
    assert f'{labels[1]} has no pixel of any class: all its pixels are ignored.' in '\n'.join(
        report['notes']
    )
    assert f'{grey} has mode L: it is read as RGB.' in '\n'.join(report['notes'])


def test_validation_on_a_single_domain(world, check):
    """As the training's check takes it, with one process."""
    config = world.parent / 'single.py'
    config.write_text(
        f'_base_ = {str(ROOT / "configs/source_only/gta5.py")!r}\n'
        'single = dict(_delete_=True, **_base_.idd, pipeline=_base_.pipelines.test)\n'
        'val_dataloader = dict(dataset=single)\n'
        'test_dataloader = val_dataloader\n'
    )
    _, report = check(False, config, '--workers', '1')
    assert [domain['name'] for domain in report['domains']] == ['source gta5', 'validation idd']


def test_no_number_of_processes(run_tool, capsys):
    with pytest.raises(SystemExit):
        run_tool('check_data.py', CONFIG, '--workers', 0)
    assert "argument --workers: '0' is not an integer of at least 1" in capsys.readouterr().err


def test_a_missing_data_set(tmp_path):
    """In a process of its own."""
    report = tmp_path / 'report.json'
    command = [sys.executable, TOOL, CONFIG, '--json', report, '--chart', tmp_path / 'chart.png']
    output = call(command, MLCL_DATA_ROOT=str(tmp_path / 'nothing'), fails=True)
    assert 'does not exist: copy or link the data set gta5' in output
    assert 'Traceback' not in output
    assert json.loads(report.read_text())['domains'] == []
