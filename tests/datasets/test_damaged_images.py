"""Images that cannot be read, met in training, in validation and by the pseudo-label pass."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from mmcv.transforms import Compose
from mmseg.registry import TRANSFORMS
from PIL import Image
from torch.utils.data import DataLoader

from mlcl_mmseg.datasets.image_files import open_image
from mlcl_mmseg.engine.hooks.pseudo_label_hook import TargetImages
from mlcl_mmseg.errors import InputError

from .bad_input import (
    HEADERS,
    PIXELS,
    SOURCE,
    TARGETS,
    break_checksum,
    empty,
    file,
    read_epoch,
    refused,
    training_set,
    truncate,
    validation_set,
)
from .conftest import HEIGHT, LOAD, WIDTH, random_ids

DAMAGES = [
    (name, damage)
    for name, damage in itertools.product(TARGETS, (*HEADERS, *PIXELS))
    if damage is not break_checksum or name == 'idd'
]


@pytest.mark.parametrize(('name', 'damage'), DAMAGES)
def test_training(data, name, damage):
    dataset = training_set(data)
    read_epoch(dataset)
    image = file(data, name, 1)
    damage(image)
    with refused(str(image), 'cannot be read (', '): replace the file.') as caught:
        read_epoch(dataset)
    assert str(caught.value).count(image.name) == 1


@pytest.mark.parametrize('damage', [truncate, empty])
def test_source(data, damage):
    image = file(data, SOURCE, 2)
    dataset = training_set(data)
    damage(image)
    with refused(str(image), 'cannot be read', 'replace the file'):
        read_epoch(dataset)


@pytest.mark.parametrize(('name', 'damage'), DAMAGES)
def test_validation(data, name, damage):
    image = file(data, name, 1, validation=True)
    dataset = validation_set(data)
    damage(image)
    with refused(str(image), 'cannot be read', 'replace the file'):
        list(dataset)


def test_pseudo_labels(data):
    domain = training_set(data).targets[0]
    images = TargetImages(domain, Compose([TRANSFORMS.build(LOAD)]))
    assert images[1]['img'].shape == (HEIGHT, WIDTH, 3)
    image = Path(domain.get_data_info(1)['img_path'])
    truncate(image)
    with refused(str(image), 'cannot be read', 'truncated', 'replace the file'):
        images[1]


def test_in_a_worker(data):
    """The kind of the error and its last line survive the way from the worker."""
    image = file(data, 'idd', 0, validation=True)
    truncate(image)
    loader = iter(DataLoader(validation_set(data, 'idd'), num_workers=1, collate_fn=list))
    with pytest.raises(InputError) as caught:
        next(loader)
    # the garbage collector would wait for the worker
    loader._shutdown_workers()
    assert str(caught.value).startswith(str(image))
    assert str(caught.value).endswith('replace the file.')


def test_other_errors_are_not_blamed_on_the_image(data):
    domain = training_set(data).targets[0]

    def pipeline(results):
        raise OSError('another file')

    with pytest.raises(OSError, match='^another file$'):
        domain.run_pipeline(pipeline, domain.get_data_info(0))


def test_a_flipped_bit_never_gives_another_png(tmp_path):
    """A PNG's checksums tell: its pixels, or a refusal."""
    pixels = np.kron(random_ids(0, 'gta5', 4, 5), np.ones((8, 8), np.uint8))
    path = tmp_path / 'label.png'
    Image.fromarray(pixels).save(path)
    content, refusals = path.read_bytes(), 0
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            np.testing.assert_array_equal(open_image(path), pixels)
        except InputError:
            refusals += 1
    assert refusals > len(content) // 2
