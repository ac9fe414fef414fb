"""The toy world: streets in four looks, in the data sets' own folders and raw ids."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from mmseg.registry import DATASETS
from PIL import Image

from mlcl_mmseg.datasets import cityscapes
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.toy_world import layouts, write_toy_world
from mlcl_mmseg.toy_world.layouts import LAYOUTS, raw_ids
from mlcl_mmseg.toy_world.looks import LOOKS
from mlcl_mmseg.toy_world.paint import PARTS, draw_scene

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('toy') / 'world'
    assert write_toy_world(root, 8, (128, 64), 0, num_workers=1)
    return root


def files(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob('*') if p.is_file()}


@given(
    st.sampled_from(sorted(LOOKS)), st.integers(32, 200), st.integers(32, 200), st.integers(0, 99)
)
@settings(max_examples=20, deadline=None)
def test_any_scene(look, width, height, seed):
    """Any size and seed gives an image and a label of known parts."""
    image, label = draw_scene(np.random.default_rng(seed), LOOKS[look], width, height)
    assert image.shape == (height, width, 3) and label.shape == (height, width)
    assert image.dtype == label.dtype == np.uint8
    assert label.max() < len(PARTS)
    assert len(np.unique(label)) >= 3


def test_every_part_comes_up():
    counts = sum(
        np.bincount(
            draw_scene(np.random.default_rng(seed), look, 160, 80)[1].ravel(), minlength=len(PARTS)
        )
        for look in LOOKS.values()
        for seed in range(25)
    )
    rare = {'train'}
    assert {part for part, count in zip(PARTS, counts) if count == 0} <= rare


def test_things_stand_where_they_belong():
    """Sky above, road below, in the middle of the image."""
    labels = np.stack(
        [draw_scene(np.random.default_rng(k), LOOKS['gta5'], 160, 80)[1] for k in range(20)]
    )
    assert (labels[:, -8:, 60:100] == PARTS.index('road')).mean() > 0.6
    assert (labels[:, 40:] == PARTS.index('sky')).mean() < 0.02
    assert (labels[:, :20] == PARTS.index('sky')).mean() > 0.15


def test_the_looks_differ():
    """The look of a street can be told from its colours, though not always: the gap is real."""

    def colours(seed):
        images = (draw_scene(np.random.default_rng(seed), look, 96, 48)[0] for look in looks)
        return [np.concatenate([image.mean((0, 1)), image.std((0, 1))]) for image in images]

    looks = LOOKS.values()
    centres = np.mean([colours(seed) for seed in range(10)], axis=0)
    guesses = [
        np.abs(centres - street).sum(axis=1).argmin()
        for seed in range(10, 20)
        for street in colours(seed)
    ]
    assert 0.6 < np.mean(np.array(guesses) == np.tile(range(4), 10)) < 1


def test_a_world_is_a_function_of_its_seed(world, tmp_path):
    write_toy_world(tmp_path / 'again', 8, (128, 64), 0, num_workers=3)
    assert files(tmp_path / 'again') == files(world)
    write_toy_world(tmp_path / 'other', 1, (128, 64), 1, num_workers=1)
    image = 'GTA5/images/00000.png'
    assert (tmp_path / 'other' / image).read_bytes() != (world / image).read_bytes()


def test_files_are_those_of_the_data_sets(world):
    names = set(files(world))
    assert 'Cityscapes/gtFine/val/toytown/toytown_000001_000019_gtFine_labelIds.png' in names
    assert 'Mapillary/validation/v1.2/labels/toy_000001.png' in names
    for name in names - {'toy_world.json'}:
        image = Image.open(world / name)
        assert image.size == (128, 64)
        is_label = 'label' in name
        palette = name.startswith(('GTA5', 'Mapillary'))
        assert image.mode == (('P' if palette else 'L') if is_label else 'RGB')


@pytest.mark.parametrize('domain', LAYOUTS)
def test_labels_have_raw_ids_that_mean_the_part(domain):
    names = LAYOUTS[domain].raw_labels
    for part, raw_id in zip(PARTS, raw_ids(LAYOUTS[domain])):
        name, _, index = names[raw_id]
        cityscapes_name, _, cityscapes_index = cityscapes.RAW_LABELS[
            raw_ids(LAYOUTS['cityscapes'])[PARTS.index(part)]
        ]
        assert index == cityscapes_index or part == 'lane marking', (name, cityscapes_name)


@pytest.mark.parametrize('num_classes', [7, 19])
def test_the_shipped_configs_read_it(world, monkeypatch, num_classes):
    """Every domain in every role; all of the seven classes are there."""
    monkeypatch.setenv('MLCL_DATA_ROOT', str(world))
    suffix = '' if num_classes == 7 else '_19'
    config = Config.fromfile(ROOT / f'configs/warmup/g2cmi{suffix}.py')
    train = DATASETS.build(config.train_dataloader.dataset)
    validation = DATASETS.build(config.val_dataloader.dataset)
    assert [len(domain) for domain in train.domains] == [8] * 4
    assert [len(domain) for domain in validation.datasets] == [2] * 3
    labels = []
    for index in range(8):
        sample = train[0, index]
        assert len(sample['targets']) == 3
        labels.append(sample['source']['label'])
    classes = set(np.unique(labels)) - {255}
    assert classes >= set(range(7)) if num_classes == 7 else len(classes) >= 13


def test_what_is_there_is_left_alone(world, tmp_path):
    before = files(world)
    assert not write_toy_world(world, 8, (128, 64), 0)
    for settings_ in ((9, (128, 64), 0), (8, (64, 64), 0), (8, (128, 64), 1)):
        with pytest.raises(InputError, match='something other than this toy world: remove'):
            write_toy_world(world, *settings_)
    assert files(world) == before
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'thesis.txt').touch()
    with pytest.raises(InputError, match='mine contains something other'):
        write_toy_world(tmp_path / 'mine', 1, (32, 32), 0, replace=True)
    assert (tmp_path / 'mine' / 'thesis.txt').exists()


def test_a_toy_world_may_be_replaced(tmp_path):
    for seed in (0, 1):
        assert write_toy_world(tmp_path / 'w', 1, (32, 32), seed, num_workers=1, replace=True)
    assert json.loads((tmp_path / 'w' / 'toy_world.json').read_text('utf-8'))['seed'] == 1


def test_files_of_the_user_are_never_removed(tmp_path):
    """Neither in the toy world, nor beside it, nor behind a link."""
    write_toy_world(tmp_path / 'w', 1, (32, 32), 0, num_workers=1)
    (tmp_path / 'w.partial').mkdir()
    for name in ('w.partial/thesis.txt', 'w/thesis.txt'):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match='w contains something other'):
        write_toy_world(tmp_path / 'w', 1, (32, 32), 1, num_workers=1, replace=True)
    (tmp_path / 'w/thesis.txt').unlink()
    write_toy_world(tmp_path / 'w', 1, (32, 32), 1, num_workers=1, replace=True)
    assert (tmp_path / 'w.partial/thesis.txt').exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ['w', 'w.partial']


def kill(_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker(tmp_path, monkeypatch):
    """The old world stays."""
    write_toy_world(tmp_path / 'w', 1, (32, 32), 0, num_workers=1)
    before = files(tmp_path)
    monkeypatch.setattr(layouts, 'write_frame', kill)
    with pytest.raises(InputError, match='A worker process was killed, maybe because memory ran'):
        write_toy_world(tmp_path / 'w', 1, (32, 32), 1, num_workers=1, replace=True)
    assert files(tmp_path) == before


@pytest.mark.parametrize('content', [b'', b'[1]', b'{', b'\xff', b'{"seed": NaN}'])
def test_a_damaged_marker(tmp_path, content):
    (tmp_path / 'toy_world.json').write_bytes(content)
    with pytest.raises(InputError, match=r'toy_world\.json is damaged \(.*\): remove its folder'):
        write_toy_world(tmp_path, 1, (32, 32), 0, replace=True)


@pytest.mark.parametrize('numbers', [(0, (64, 64), 0), (1, (64, 31), 0), (1, (64, 64), -1)])
def test_impossible_worlds(tmp_path, numbers):
    with pytest.raises(InputError, match='needs at least one image, at least 32x32 pixels'):
        write_toy_world(tmp_path / 'w', *numbers)


def test_the_tool(tmp_path):
    tool = [sys.executable, ROOT / 'tools/make_toy_data.py', tmp_path / 'w']
    tool += ['--images', '5', '--size', '64x32', '--seed', '3']
    done = subprocess.run([str(each) for each in tool], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f'{tmp_path / "w"}: the toy world is complete.' in done.stdout
    marker = json.loads((tmp_path / 'w' / 'toy_world.json').read_text('utf-8'))
    assert marker == dict(version=1, images=5, validation_images=2, size=[64, 32], seed=3)
    done = subprocess.run([*map(str, tool[:-1]), '4'], capture_output=True, text=True)
    assert done.returncode == 1
    message = done.stderr.splitlines()[-1]
    assert message.startswith(f'{tmp_path / "w"} contains something other')
    assert 'use --overwrite if it is another toy world' in message
