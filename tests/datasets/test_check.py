"""The check before training.

Missing folders, images and labels are in test_domains.py, domains named twice in
test_multi_domain.py.
"""

import itertools
import shutil

import pytest
from PIL import Image

from mlcl_mmseg.datasets.check import check_data

from .bad_input import (
    HEADERS,
    SOURCE,
    TARGETS,
    config,
    empty,
    file,
    refused,
    training_set,
    validation_set,
)
from .conftest import HEIGHT, WIDTH


def test_good_data_passes_without_decoding(data, monkeypatch):
    train, validation = training_set(data), validation_set(data)
    monkeypatch.setattr(Image.Image, 'load', None)
    assert check_data(train, validation.datasets) is None


@pytest.mark.parametrize(('name', 'damage'), itertools.product(TARGETS, HEADERS))
@pytest.mark.parametrize('validation', [False, True])
def test_image(data, name, damage, validation):
    image = file(data, name, 1, validation=validation)
    train, tested = training_set(data), validation_set(data)
    damage(image)
    with refused(str(image), 'cannot be read', 'replace the file') as caught:
        check_data(train, tested.datasets)
    assert str(caught.value).startswith(str(image))


@pytest.mark.parametrize('validation', [False, True])
def test_images_of_more_than_8_bits(data, validation):
    """Read as RGB, they would be white."""
    path = file(data, 'idd', 1, validation=validation)
    Image.new('I;16', (WIDTH, HEIGHT), 1000).save(path)
    with refused(str(path), 'has mode I;16, but images must have 8 bits', 'convert it'):
        check_data(training_set(data), validation_set(data).datasets)


def test_labels_of_targets_are_not_opened(data):
    empty(file(data, 'idd', 0, 'label'))
    check_data(training_set(data), validation_set(data).datasets)
    path = file(data, 'idd', 0, 'label', validation=True)
    empty(path)
    with refused(str(path), 'not an image in a known format', 'replace the file'):
        check_data(training_set(data), validation_set(data).datasets)


def test_the_first_of_several_is_named(data):
    first = file(data, SOURCE, 1, 'label')
    Image.new('RGB', (WIDTH, HEIGHT)).save(first)
    empty(file(data, 'mapillary', 0))
    empty(file(data, 'idd', 2, validation=True))
    with refused('3 images or their labels are wrong. The first error: ', str(first), 'mode RGB'):
        check_data(training_set(data), validation_set(data).datasets)


def test_a_file_of_training_and_validation_counts_once(data):
    image = file(data, 'idd', 0)
    train, validation = training_set(data), validation_set(data, 'idd', split='train')
    empty(image)
    with refused(str(image)) as caught:
        check_data(train, validation.datasets)
    assert str(caught.value).startswith(str(image))


@pytest.mark.parametrize('linked', [False, True])
def test_source_under_another_name_is_a_target(data, linked):
    again = 'gta5'
    if linked:
        again = 'linked'
        (data / again).mkdir()
        (data / again / 'images').symlink_to(data / 'gta5' / 'images')
    target = dict(config(data, 'gta5', domain='dusk'), data_root=str(data / again))
    with refused(str(data / again), "source 'gta5'", "target 'dusk'", 'data_root or split'):
        check_data(training_set(data, targets=[target]))


def test_target_under_two_names(data):
    targets = [config(data, 'idd'), config(data, 'idd', domain='rain')]
    with refused("target 'idd'", "target 'rain'", 'so that they share no image'):
        check_data(training_set(data, targets=targets))
    targets[1]['split'] = 'val'
    check_data(training_set(data, targets=targets))


def test_equal_copies_are_domains_of_their_own(data):
    shutil.copytree(data / 'idd', data / 'copy')
    copy = dict(config(data, 'idd', domain='copy'), data_root=str(data / 'copy'))
    check_data(training_set(data, targets=['idd', copy]))
