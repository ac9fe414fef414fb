"""Label images, as they are loaded and as they are refused: when loaded, and by the check."""

import pickle

import numpy as np
import pytest
from mmcv.transforms import Compose
from mmseg.registry import DATASETS, TRANSFORMS
from PIL import Image

from mlcl_mmseg.datasets import DomainDataset
from mlcl_mmseg.datasets.check import check_data

from .bad_input import (
    SOURCE,
    config,
    empty,
    file,
    read_epoch,
    refused,
    training_set,
    truncate,
    validation_set,
)
from .conftest import (
    HEIGHT,
    LAYOUTS,
    LOAD,
    LOAD_LABEL,
    UNLABELLED,
    WIDTH,
    random_ids,
    random_pixels,
    write_image,
)


def assert_refused(root, path, *parts, name=SOURCE):
    """When it is loaded and by the check."""
    dataset = training_set(root, source=name, targets=())
    with refused(str(path), *parts):
        read_epoch(dataset)
    with refused(str(path), *parts):
        check_data(dataset)


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'LA', 'I;16', '1'])
@pytest.mark.parametrize('name', [SOURCE, 'cityscapes'])
def test_mode(make_tree, name, mode):
    root = make_tree(name).parent
    path = file(root, name, 1, 'label')
    Image.new(mode, (WIDTH, HEIGHT)).save(path)
    with Image.open(path) as image:
        assert image.mode == mode
    assert_refused(root, path, f'has mode {mode}, but', 'mode L or P: use', 'id images', name=name)


@pytest.mark.parametrize('size', [(WIDTH // 2, HEIGHT // 2), (WIDTH, HEIGHT - 1)])
def test_size(make_tree, size):
    root = make_tree('cityscapes').parent
    path = file(root, 'cityscapes', 1, 'label')
    Image.new('L', size).save(path)
    sizes = f'is {size[0]}x{size[1]}, but its image is {WIDTH}x{HEIGHT}: replace the one'
    assert_refused(root, path, sizes, name='cityscapes')


@pytest.mark.parametrize('size', [(96, 48), (24, 12), (100, 48), (96, 50)])
def test_gta5_has_labels_of_other_sizes(data, size):
    pixels = random_ids(0, 'gta5', *size[::-1])
    Image.fromarray(pixels).save(file(data, SOURCE, 1, 'label'))
    dataset = training_set(data)
    read_epoch(dataset)
    check_data(dataset)
    sample = dataset.source[1]
    assert sample['img'].shape[:2] == sample['gt_seg_map'].shape == (16, 32)


@pytest.mark.parametrize('size', [(102, 48), (48, 48), (96, 51)])
def test_gta5_labels_of_another_shape(data, size):
    path = file(data, SOURCE, 1, 'label')
    Image.new('L', size).save(path)
    assert_refused(data, path, f'is {size[0]}x{size[1]}, but its image is 48x24: replace')


@pytest.mark.parametrize('damage', [truncate, empty])
def test_damaged(data, damage):
    path = file(data, 'idd', 1, 'label', validation=True)
    dataset = validation_set(data)
    damage(path)
    with refused(str(path), 'cannot be read', 'replace the file'):
        list(dataset)


def test_after_resize_it_is_compared_with_the_stored_image(data):
    resize_first = [LOAD, UNLABELLED[1], LOAD_LABEL, dict(type='MapLabels')]
    options = dict(role='validation', pipeline=resize_first)
    sample = DATASETS.build(config(data, 'idd', **options))[0]
    assert sample['img'].shape[:2] == (16, 32)
    assert sample['gt_seg_map'].shape == (HEIGHT, WIDTH)
    path = file(data, 'idd', 0, 'label', validation=True)
    Image.new('L', (32, 16)).save(path)
    with refused(str(path), 'is 32x16, but its image is 48x24'):
        DATASETS.build(config(data, 'idd', **options))[0]


def test_colours_through_mmsegmentations_transform(data):
    path = file(data, 'idd', 0, 'label', validation=True)
    write_image(path, random_pixels(0))
    pipeline = [LOAD, dict(type='LoadAnnotations'), dict(type='MapLabels')]
    domain = DATASETS.build(config(data, 'idd', role='validation', pipeline=pipeline))
    with refused(str(path), 'is not a single-channel image', 'use the label id images'):
        domain[0]


def test_a_label_is_loaded_as_it_is_stored(data):
    """Palette indices, not colours; what MMSegmentation's transform gives, and writable."""
    record = training_set(data).source.get_data_info(1)
    ours, theirs = (
        Compose([TRANSFORMS.build(LOAD), TRANSFORMS.build(load)])({**record, 'seg_fields': []})
        for load in (LOAD_LABEL, dict(type='LoadAnnotations'))
    )
    np.testing.assert_array_equal(ours['gt_seg_map'], random_ids(1, 'gta5'))
    np.testing.assert_array_equal(ours['gt_seg_map'], theirs['gt_seg_map'])
    assert ours['gt_seg_map'].dtype == theirs['gt_seg_map'].dtype == np.uint8
    assert ours['gt_seg_map'].flags.writeable
    assert ours['seg_fields'] == theirs['seg_fields'] == ['gt_seg_map']
    assert ours.keys() == theirs.keys()


def test_without_a_label_to_load_nothing_happens():
    results = dict(img_path='image.png')
    assert TRANSFORMS.build(LOAD_LABEL)(results) == dict(img_path='image.png')


@pytest.mark.parametrize('name', LAYOUTS)
def test_only_gta5_tolerates_other_sizes(make_tree, name):
    domain: DomainDataset = DATASETS.build(config(make_tree(name).parent, name, role='source'))
    assert domain.label_format.size_fits((48, 24), (48, 24))
    assert domain.label_format.size_fits((1280, 720), (1914, 1052)) == (name == 'gta5')


@pytest.mark.parametrize('name', LAYOUTS)
def test_records_are_small_plain_data(make_tree, name):
    """Without the data set that they are of."""
    domain = DATASETS.build(config(make_tree(name).parent, name, role='source'))
    record = domain.get_data_info(0)
    assert len(pickle.dumps(record)) < 2000
    found = pickle.loads(pickle.dumps(record))['label_format']
    np.testing.assert_array_equal(found.lookup, domain.label_format.lookup)
