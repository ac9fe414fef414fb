"""Preparing: once for all configs, anew where it is damaged, on when it was interrupted."""

import json
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmcv.transforms import Compose
from mmseg.registry import DATASETS

from mlcl_mmseg.datasets import StreamPosition, prepare
from mlcl_mmseg.datasets.prepared_files import PreparedFiles, Record
from mlcl_mmseg.errors import InputError

from .conftest import LOAD, RESIZE, random_pixels, write_image
from .preparing import SIZE, images_of, is_read, prepare_here


def test_labels_of_targets_are_never_opened(config, monkeypatch):
    config.val_dataloader = config.test_dataloader = None
    cityscapes = Path(config.train_dataloader.dataset.targets[0].data_root)
    for label in cityscapes.rglob('*_labelIds.png'):
        label.write_bytes(b'not to be read')
    assert prepare_here(config)['cityscapes'] == (3, 3)
    folder = cityscapes.parent / 'prepared' / 'cityscapes' / SIZE
    assert {path.name for path in folder.iterdir()} == {'images.bin', 'images.json', '.lock'}


def test_prepared_once_for_all_configs(config):
    """A role that reads labels adds them; other classes change nothing."""
    train = config.train_dataloader.dataset
    prepare_here(config)
    assert prepare_here(config) == dict(gta5=(3, 0), cityscapes=(6, 0), idd=(6, 0))
    for each in (train.source, *train.targets):
        each.num_classes = 19
    assert prepare_here(config) == dict(gta5=(3, 0), cityscapes=(6, 0), idd=(6, 0))
    train.source = train.targets.pop(0)
    assert prepare_here(config) == dict(cityscapes=(6, 3), idd=(6, 0))
    assert prepare_here(config) == dict(cityscapes=(6, 0), idd=(6, 0))


def test_a_changed_file_is_named_and_made_anew(config, tmp_path):
    prepare_here(config)
    path = tmp_path / 'cityscapes/leftImg8bit/train/ulm/ulm_000000_000019_leftImg8bit.png'
    write_image(path, random_pixels(9))
    with pytest.raises(
        InputError, match=f'{path.name} has changed since .*{SIZE} was prepared: run'
    ):
        images_of(config)
    assert prepare_here(config)['cityscapes'] == (6, 1)
    images = images_of(config)
    assert all(is_read(images))
    number = next(i for i, each in enumerate(images) if each['img_path'] == str(path))
    expected = images.run_pipeline(lambda info: Compose([LOAD, RESIZE])(info), dict(images[number]))
    np.testing.assert_array_equal(images[number]['img'], expected['img'])


DAMAGES = dict(
    flipped=lambda path: path.write_bytes(path.read_bytes()[:-5] + b'\0\1\2\3\4'),
    cut=lambda path: os.truncate(path, path.stat().st_size - 1),
    gone=lambda path: path.unlink(),
)


@pytest.mark.parametrize('damage', DAMAGES)
@pytest.mark.parametrize('kind', ['images', 'labels'])
def test_damaged_pixels_are_named_and_made_anew(config, tmp_path, kind, damage):
    config.train_dataloader.dataset.targets = []
    config.val_dataloader = config.test_dataloader = None
    prepare_here(config)
    path = tmp_path / 'prepared/gta5' / SIZE / f'{kind}.bin'
    whole = path.read_bytes()
    DAMAGES[damage](path)
    train = DATASETS.build(config.train_dataloader.dataset)
    message = r'cannot be read \(No such' if damage == 'gone' else f'damaged where .*{kind}/00007'
    with pytest.raises(InputError, match=f'{kind}.bin .*{message}.*run python .*prepare.py'):
        for index in range(3):
            train[StreamPosition(0, index)]
    assert prepare_here(config) == dict(gta5=(3, 3 if damage == 'gone' else 1))
    assert path.read_bytes() == whole
    assert prepare_here(config) == dict(gta5=(3, 0))


def test_damaged_manifest(config, tmp_path):
    prepare_here(config)
    path = tmp_path / 'prepared/cityscapes' / SIZE / 'images.json'
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(InputError, match=r'images.json cannot be understood .*: run python'):
        images_of(config)
    assert prepare_here(config)['cityscapes'] == (6, 6)
    assert path.read_bytes() == whole


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=40) | st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda each: st.lists(each, max_size=7)
    | st.dictionaries(st.sampled_from(['format', 'shape', 'records', 'a.png']), each),
).map(lambda each: json.dumps(each).encode()))  # fmt: skip
def test_manifest_of_any_content(tmp_path, content):
    files = PreparedFiles(tmp_path / 'images', (2, 2, 3))
    files.manifest_path.write_bytes(content)
    try:
        records = files.records()
    except InputError:
        return
    assert all(type(each) is Record for each in records.values())


def test_a_damaged_image_ends_it_and_what_was_made_stays(config, tmp_path):
    path = tmp_path / 'idd/leftImg8bit/train/0/024541_leftImg8bit.png'
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    with pytest.raises(InputError, match=f'{path.name} cannot be read'):
        prepare_here(config)
    path.write_bytes(whole)
    found = prepare_here(config)
    assert found['gta5'] == (3, 0) and found['cityscapes'][1] < 6 and found['idd'][1] < 6
    assert prepare_here(config) == dict(gta5=(3, 0), cityscapes=(6, 0), idd=(6, 0))


def test_killed_and_started_again(config, tmp_path, monkeypatch):
    """SIGKILL in the midst: what the manifest names is whole, the rest is made."""
    monkeypatch.setattr(prepare, 'SECONDS', 0)
    do = prepare.prepare
    manifest = tmp_path / 'prepared/gta5' / SIZE / 'labels.json'
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(prepare, 'prepare', lambda job: (time.sleep(0.05), do(job))[1])
        prepare_here(config)
        os._exit(0)
    while not manifest.is_file():
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found = prepare_here(config)
    assert 0 < sum(made for _, made in found.values()) < 15
    assert prepare_here(config) == dict(gta5=(3, 0), cityscapes=(6, 0), idd=(6, 0))


def test_a_disk_that_is_too_small(config, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare.shutil, 'disk_usage', lambda _: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match=r'prepared needs 0\.0 GB more .*choose another --out'):
        prepare_here(config)
    assert not list(tmp_path.rglob('*.bin'))


def test_two_at_once(config, tmp_path):
    folder = tmp_path / 'prepared/gta5' / SIZE
    with prepare.locked_folder(folder):
        child = os.fork()
        if child == 0:
            try:
                prepare_here(config)
            except InputError as error:
                os._exit(7 if 'is in use by another run' in str(error) else 1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
