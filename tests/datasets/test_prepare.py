"""Prepared copies: made once, again where they are damaged, continued when interrupted."""

import json
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mmseg.registry import DATASETS
from PIL import Image
from scipy.io import savemat

from mlcl_mmseg.datasets import prepare
from mlcl_mmseg.errors import InputError

from .conftest import build_domain, random_pixels, write_image

SIZE = (32, 16)
IMAGE = 'cityscapes/leftImg8bit/train/ulm/ulm_000000_000019_leftImg8bit.png'
EVERYTHING = dict(gta5=(3, 0), cityscapes=(6, 0), idd=(6, 0))


def prepare_here(config, out):
    """In this process: ``{data set: (images, new ones)}``."""
    done = prepare.prepare_config(config, out, num_workers=0)
    assert not done.failures
    return {Path(each.folder).name: (each.images, each.made) for each in done.copies}


@pytest.fixture
def out(tmp_path):
    return tmp_path / 'copies'


def test_files_are_ordinary_images(config, tmp_path, out):
    prepare_here(config, out)
    copies = [path for path in out.rglob('*.bmp')]
    assert len(copies) == 15 + 3 + 3 + 3  # images, labels of the source and of validation
    for path in copies:
        original = tmp_path / path.relative_to(out).with_suffix('')
        with Image.open(path) as image, Image.open(original) as whole:
            assert image.format == 'BMP' and image.size == SIZE
            assert image.mode == ('L' if whole.mode in 'LP' else 'RGB')


def test_labels_of_targets_are_never_opened(config, tmp_path, out):
    config.val_dataloader = config.test_dataloader = None
    for label in (tmp_path / 'cityscapes').rglob('*_labelIds.png'):
        label.write_bytes(b'not to be read')
    assert prepare_here(config, out)['cityscapes'] == (3, 3)
    assert not (out / 'cityscapes/gtFine').exists()


def test_two_label_folders_of_the_same_images(tmp_path, config, out):
    """Each domain's labels are copied, though the images are shared."""
    root = tmp_path / 'shared'
    for folder, channels in (('images', (3,)), ('ids', ()), ('other_ids', ())):
        (root / folder).mkdir(parents=True)
        Image.fromarray(np.zeros((20, 40, *channels), np.uint8)).save(root / folder / 'a.png')
    domains = [
        dict(type='FolderDomain', domain=name, data_root=str(root), num_classes=7, label_dir=name)
        for name in ('ids', 'other_ids')
    ]
    config.train_dataloader = config.test_dataloader = None
    config.val_dataloader.dataset.domains = domains
    prepare_here(config, out)
    copies = sorted(str(path.relative_to(out / 'shared')) for path in out.rglob('*.bmp'))
    assert copies == ['ids/a.png.bmp', 'images/a.png.bmp', 'other_ids/a.png.bmp']


def test_one_copy_serves_all_configs(config, out):
    """A role that reads labels adds them; other classes change nothing."""
    train = config.train_dataloader.dataset
    prepare_here(config, out)
    assert prepare_here(config, out) == EVERYTHING
    for each in (train.source, *train.targets):
        each.num_classes = 19
    assert prepare_here(config, out) == EVERYTHING
    train.source = train.targets.pop(0)
    assert prepare_here(config, out) == dict(cityscapes=(6, 3), idd=(6, 0))
    assert prepare_here(config, out) == dict(cityscapes=(6, 0), idd=(6, 0))


def change(path):
    write_image(path, random_pixels(9))


def touch(path):
    os.utime(path, (1, 1))


@pytest.mark.parametrize(('alter', 'made_again'), [(change, True), (touch, False)])
def test_a_changed_original(config, tmp_path, out, alter, made_again):
    """Of other content it is copied again, of another time its digest is compared."""
    prepare_here(config, out)
    copy = out / f'{IMAGE}.bmp'
    before = copy.read_bytes()
    alter(tmp_path / IMAGE)
    assert prepare_here(config, out)['cityscapes'] == (6, 1)
    assert (copy.read_bytes() != before) == made_again
    assert prepare_here(config, out) == EVERYTHING


def test_a_removed_original(config, tmp_path, out):
    prepare_here(config, out)
    (tmp_path / IMAGE).unlink()
    assert prepare_here(config, out)['cityscapes'] == (5, 0)
    assert not (out / f'{IMAGE}.bmp').exists()


DAMAGES = dict(
    flipped=lambda path: path.write_bytes(path.read_bytes()[:-5] + b'\0\1\2\3\4'),
    cut=lambda path: os.truncate(path, path.stat().st_size - 9),
    gone=lambda path: path.unlink(),
)


@pytest.mark.parametrize('damage', DAMAGES)
def test_a_damaged_copy_is_made_again(config, out, damage):
    prepare_here(config, out)
    path = out / f'{IMAGE}.bmp'
    whole = path.read_bytes()
    DAMAGES[damage](path)
    assert prepare_here(config, out)['cityscapes'] == (6, 1)
    assert path.read_bytes() == whole


@pytest.mark.parametrize('num_workers', [0, 2])
def test_a_damaged_image_is_told_and_the_rest_is_made(config, tmp_path, out, num_workers):
    path = tmp_path / 'idd/leftImg8bit/train/0/024541_leftImg8bit.png'
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    for _ in range(2):
        (failure,) = prepare.prepare_config(config, out, num_workers).failures
        assert failure.startswith(f'{path} cannot be read (') and 'replace the file' in failure
        complete = [
            json.loads((out / name / 'prepared.json').read_bytes())['complete']
            for name in EVERYTHING
        ]
        assert complete == [True, True, False]
    with pytest.raises(InputError, match='idd is incomplete: .* could not read all files'):
        build_domain('idd', out / 'idd')
    path.write_bytes(whole)
    assert prepare_here(config, out) == {**EVERYTHING, 'idd': (6, 1)}
    assert prepare_here(config, out) == EVERYTHING


def test_killed_and_started_again(config, out, monkeypatch):
    """SIGKILL in the midst: what the manifest names is whole, the rest is made."""
    monkeypatch.setattr(prepare, 'SECONDS', 0)
    do = prepare.prepare
    manifest = out / 'gta5/prepared.json'
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(prepare, 'prepare', lambda job: (time.sleep(0.05), do(job))[1])
        prepare_here(config, out)
        os._exit(0)
    while not manifest.is_file() or not json.loads(manifest.read_bytes())['files']:
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    (out / 'gta5/images/.partial_x.bmp').write_bytes(b'')
    with pytest.raises(InputError, match='gta5 is incomplete: .* was interrupted .* run it again'):
        build_domain('gta5', out / 'gta5')
    found = prepare_here(config, out)
    assert 0 < sum(made for _, made in found.values()) < 15
    assert prepare_here(config, out) == EVERYTHING
    assert not list(out.rglob('.partial_*'))


def test_a_disk_that_is_too_small(config, out, monkeypatch):
    monkeypatch.setattr(prepare.shutil, 'disk_usage', lambda _: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match=r'copies needs 0\.0 GB more, .*choose another --out'):
        prepare_here(config, out)
    assert not list(out.rglob('*.bmp'))


def test_two_at_once(config, out):
    with prepare.locked_folder(out / 'gta5'):
        child = os.fork()
        if child == 0:
            try:
                prepare_here(config, out)
            except InputError as error:
                os._exit(7 if 'is in use by another run' in str(error) else 1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_several_processes(config, out):
    done = prepare.prepare_config(config, out, num_workers=2)
    assert [each.made for each in done.copies] == [3, 6, 6]
    assert prepare_here(config, out) == EVERYTHING


def test_a_place_that_is_taken(config, make_tree, tmp_path, out):
    """By the originals, by another data set, at another size, by a second one of the name."""
    with pytest.raises(InputError, match='gta5 contains files but no prepared copy: choose'):
        prepare_here(config, tmp_path)
    prepare_here(config, out)
    source = config.train_dataloader.dataset.source
    source.data_root = str(make_tree('gta5', root=tmp_path / 'other/gta5'))
    with pytest.raises(InputError, match='gta5 is a copy of .*/gta5, not of .*other/gta5: choose'):
        prepare_here(config, out)
    source.data_root = str(make_tree('cityscapes', root=tmp_path / 'other/cityscapes'))
    source.type = 'CityscapesDomain'
    with pytest.raises(InputError, match='and .* would share .*cityscapes: give one of the two'):
        prepare_here(config, out / 'again')


def resized_to(config, size):
    """The config with another size in all pipelines."""
    pipelines = [config.train_dataloader.dataset.source_pipeline]
    pipelines += [config.train_dataloader.dataset.target_pipeline]
    pipelines += [config[key].dataset.pipeline for key in ('val_dataloader', 'test_dataloader')]
    for step in (step for pipeline in pipelines for step in pipeline if step.type == 'Resize'):
        step.scale = size


def test_another_size(config, out):
    prepare_here(config, out)
    resized_to(config, (48, 24))
    with pytest.raises(InputError, match=r'was made by .*\(32, 16\).* config has .*\(48, 24\)'):
        prepare_here(config, out)


def test_two_sizes_in_a_config(config, out):
    config.train_dataloader.dataset.target_pipeline[1].scale = (48, 24)
    with pytest.raises(InputError, match='own.py load and resize in different ways .* make them'):
        prepare_here(config, out)


def test_a_copy_is_not_copied(config, out):
    prepare_here(config, out)
    config.train_dataloader.dataset.source.data_root = str(out / 'gta5')
    with pytest.raises(InputError, match='gta5 is a prepared copy: .* the original data, such as'):
        prepare_here(config, out / 'again')


def test_the_default_folder(config, tmp_path):
    with pytest.raises(InputError, match='own.py has no data_root, .* choose a folder with --out'):
        prepare_here(config, None)
    config.data_root = str(tmp_path)
    found = prepare.prepare_config(config, num_workers=0).folder
    assert found == Path(f'{tmp_path}_32x16')
    assert (found / f'{IMAGE}.bmp').is_file()


def test_a_data_set_below_the_data_root_keeps_its_path(config, make_tree, tmp_path, out):
    config.data_root = str(tmp_path)
    config.train_dataloader.dataset.source.data_root = str(
        make_tree('gta5', root=tmp_path / 'games/gta5')
    )
    prepare_here(config, out)
    assert (out / 'games/gta5/images/00001.png.bmp').is_file()


@pytest.mark.parametrize('pipeline', [[], [dict(type='LoadAnnotations')]])
def test_nothing_to_prepare(config, out, pipeline):
    config.train_dataloader.dataset.update(source_pipeline=pipeline, target_pipeline=pipeline)
    config.val_dataloader = config.test_dataloader = None
    with pytest.raises(InputError, match='own.py begins with LoadImageFromFile, .* nothing to'):
        prepare_here(config, out)


def test_whole_splits_and_the_list_of_them(config, make_tree, tmp_path, out):
    """`indices` and GTA5's split.mat choose the same images from the copy."""
    savemat(tmp_path / 'gta5/split.mat', dict(trainIds=[[7]], valIds=[[2]]))
    train = config.train_dataloader.dataset
    train.source.update(split='train')
    train.targets[0].update(indices=[2])
    roots = {tmp_path: None, out: None}
    prepare_here(config, out)
    for root in roots:
        for domain in (train.source, train.targets[0]):
            domain.data_root = str(root / Path(domain.data_root).name)
        dataset = DATASETS.build(train)
        roots[root] = [
            [domain.get_data_info(index)['sample_name'] for index in range(len(domain))]
            for domain in dataset.domains
        ]
    assert roots[out] == roots[tmp_path]
    assert roots[out][:2] == [['00007'], ['ulm/ulm_000000_000019_leftImg8bit']]
