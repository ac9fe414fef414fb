"""What tools/check_data.py says of unusual data, on a folder of images and labels."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from mlcl_mmseg.errors import InputError
from mlcl_mmseg.toy_world import write_toy_world

from .calling import ROOT

CONFIG = """
_base_ = {base!r}
own = dict(
    type='FolderDomain',
    domain='own',
    data_root={root!r},
    image_dir='{{split}}/images',
    label_dir='{{split}}/labels',
    num_classes=7,
    label_map={{7: 0, 11: 1}},
)
model = dict(targets=['own'])
train_dataloader = dict(dataset=dict(targets=[own]))
val_dataloader = dict(dataset=dict(domains=[own]))
test_dataloader = val_dataloader
"""


def pixels(seed, width=64, height=32):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('world') / 'data'
    write_toy_world(root, 2, (64, 32), seed=0, num_validation_images=1, num_workers=1)
    return root


@pytest.fixture
def root(tmp_path):
    """A target of two images, and two with labels for validation."""
    root = tmp_path / 'own'
    for number, split in enumerate(('train', 'train', 'val', 'val')):
        save(root / split / f'images/{number}.png', pixels(number))
    for number in (2, 3):
        save(root / f'val/labels/{number}.png', np.full((32, 64), 7, np.uint8))
    return root


@pytest.fixture
def check(world, root, tmp_path, run_tool, monkeypatch, capsys):
    """Run the tool: what it prints and its report."""

    def check(*arguments, report=tmp_path / 'report.json', chart=tmp_path / 'chart.png'):
        config = tmp_path / 'own.py'
        base = str(ROOT / 'configs/demo/warmup.py')
        config.write_text(CONFIG.format(base=base, root=str(root)), encoding='utf-8')
        monkeypatch.setenv('MLCL_DATA_ROOT', str(world))
        files = ['--json', report, '--chart', chart]
        with pytest.raises(SystemExit) as ended:
            run_tool('check_data.py', config, *files, '--workers', 1, *arguments)
        found = json.loads(report.read_text('utf-8'))
        assert ended.value.code == (not found['ok'])
        return capsys.readouterr().out, found

    return check


def rotate(path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(path) as image:
        image.load()
    image.save(path, exif=exif)


def test_exif_orientations_are_counted(root, check):
    for number in (0, 1):
        rotate(root / f'train/images/{number}.png', 3)
    rotate(root / 'val/images/2.png', 1)
    output, report = check()
    (note,) = report['notes']
    assert note == (
        '2 images of target own have an EXIF orientation and are read as they are stored, the '
        f'first is {root}/train/images/0.png: docs/data.md shows how to rotate their pixels.'
    )
    assert f'Note: {note}' in output


def test_a_label_that_follows_the_orientation(root, check):
    rotate(root / 'val/images/2.png', 6)
    save(root / 'val/labels/2.png', np.full((64, 32), 7, np.uint8))
    save(root / 'val/labels/3.png', np.full((64, 32), 7, np.uint8))
    _, report = check()
    rotated, wrong = sorted(report['problems'])
    assert rotated == (
        f'{root}/val/labels/2.png is 32x64, but its image is stored as 64x32 with an EXIF '
        f'rotation, which is not applied: rotate the pixels of {root}/val/images/2.png, as '
        'docs/data.md shows.'
    )
    assert wrong.endswith('3.png is 32x64, but its image is 64x32: replace the one that is wrong.')


def test_ids_that_no_map_names(root, check):
    label = np.full((32, 64), 7, np.uint8)
    label[:8] = 12
    label[8] = 255
    save(root / 'val/labels/2.png', label)
    _, report = check()
    assert report['domains'][-1]['unnamed_ids'] == {'12': 0.125, '255': 1 / 64}
    (note,) = report['notes']
    assert 'Labels of validation own have ids that label_map does not name' in note
    assert note.endswith('shares of the pixels: id 12: 12.5 %, id 255: 1.562 %.')


@pytest.mark.parametrize('size', [(64, 32), (32, 64)])
def test_images_of_one_colour_are_not_the_same_image(root, check, size):
    black = np.zeros((*size[::-1], 3), np.uint8)
    save(root / 'train/images/0.png', np.zeros((32, 64, 3), np.uint8))
    save(root / 'val/images/2.png', black)
    save(root / 'val/labels/2.png', np.full(size[::-1], 7, np.uint8))
    _, report = check()
    assert report['problems'] == []
    assert [note.partition(' have only one colour')[0] for note in report['notes']] == [
        '1 images of target own',
        '1 images of validation own',
    ]


def test_the_same_image_in_another_mode_and_shape(root, check):
    """Colours count, not how they are stored; and equal bytes of another shape are another image"""
    with Image.open(root / 'train/images/0.png') as image:
        few = image.quantize(16)
    few.save(root / 'val/images/2.png')
    few.convert('RGB').save(root / 'train/images/0.png')
    values = pixels(1)
    save(root / 'val/images/3.png', values.reshape(64, 32, 3))
    save(root / 'val/labels/3.png', np.full((64, 32), 7, np.uint8))
    save(root / 'train/images/1.png', values)
    _, report = check()
    (problem,) = report['problems']
    assert f'{root}/val/images/2.png, used for validation, is the same image as' in problem


def test_files_that_are_not_read(root, check):
    (root / 'val/images/clip.mp4').write_bytes(b'')
    _, report = check()
    assert report['notes'] == [f'1 file of {root}/val/images is not read: 1 .mp4.']


def test_special_files_are_named(root, check):
    os.mkfifo(root / 'train/images/pipe.png')
    (root / 'train/images/broken.png').symlink_to(root / 'nothing')
    (root / 'train/images/folder.png').mkdir()
    _, report = check()
    broken, pipe = sorted(report['problems'])
    assert 'broken.png cannot be read (it is a broken link)' in broken
    assert 'pipe.png is a named pipe, not a file' in pipe


def test_names_that_cannot_be_printed(root, check):
    path = os.fsencode(root / 'val/images') + b'/a\n\xdf.png'
    with open(path, 'wb') as file:
        file.write(b'damaged')
    output, report = check()
    assert 'a\\n\\udcdf.png cannot be read' in '\n'.join(report['problems'])
    assert 'a\\n\\udcdf.png cannot be read' in output


@pytest.mark.parametrize('option', ['--json', '--chart'])
def test_an_existing_file_is_kept(tmp_path, run_tool, option):
    precious = tmp_path / 'precious.png'
    precious.write_text('precious', encoding='utf-8')
    config = ROOT / 'configs/demo/warmup.py'
    with pytest.raises(InputError, match=f'exists already: choose another {option}, or use --over'):
        run_tool('check_data.py', config, option, precious)
    assert precious.read_text('utf-8') == 'precious'


def test_links_are_replaced_and_not_followed(root, check, tmp_path):
    precious = tmp_path / 'precious'
    precious.write_text('precious', encoding='utf-8')
    for name in ('report.json', 'chart.png'):
        (tmp_path / name).symlink_to(precious)
    check('--overwrite')
    assert precious.read_text('utf-8') == 'precious'
    assert not (tmp_path / 'chart.png').is_symlink()


def test_a_chart_of_no_format(run_tool):
    with pytest.raises(InputError, match='chart.docx cannot be drawn: choose another --chart'):
        run_tool('check_data.py', ROOT / 'configs/demo/warmup.py', '--chart', 'chart.docx')
