"""Files that cannot be used, met in training, in validation and by the check before training.

Missing folders, images and labels are in test_domains.py, domains named twice in
test_multi_domain.py.
"""

import itertools
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmcv.transforms import Compose
from mmseg.registry import DATASETS, TRANSFORMS
from PIL import Image
from torch.utils.data import DataLoader

from mlcl_mmseg.datasets import DomainDataset, StreamPosition
from mlcl_mmseg.datasets.check import check_data
from mlcl_mmseg.datasets.image_files import open_image
from mlcl_mmseg.engine.hooks.pseudo_label_hook import TargetImages
from mlcl_mmseg.errors import InputError

from .conftest import (
    HEIGHT,
    LABELLED,
    LAYOUTS,
    LOAD,
    LOAD_LABEL,
    UNLABELLED,
    WIDTH,
    random_ids,
    random_pixels,
    write_image,
)

SOURCE, TARGETS = 'gta5', ('mapillary', 'idd')


@pytest.fixture
def data(make_tree):
    """GTA5 as source, Mapillary (JPEG) and IDD (PNG) as targets: the folder they lie in."""
    (root,) = {make_tree(name).parent for name in (SOURCE, *TARGETS)}
    return root


def config(root, name, **options):
    return dict(type=LAYOUTS[name].type, data_root=str(root / name), num_classes=7, **options)


def training_set(root, source=SOURCE, targets=TARGETS, **options):
    return DATASETS.build(
        dict(
            type='MultiDomainDataset',
            source=config(root, source),
            targets=[config(root, name) for name in targets],
            source_pipeline=LABELLED,
            target_pipeline=UNLABELLED,
            **options,
        )
    )


def validation_set(root, *names, **options):
    domains = [config(root, name, **options) for name in names or TARGETS]
    return DATASETS.build(dict(type='MultiDomainValidation', domains=domains, pipeline=LABELLED))


def file(root, name, number, kind='image', validation=False):
    layout = LAYOUTS[name]
    split = layout.validation if validation else layout.training
    path = getattr(layout, kind).format(split=split, frame=layout.frames[number])
    return root / name / path


def read_epoch(dataset):
    for index in range(len(dataset)):
        dataset[StreamPosition(0, index)]


def truncate(path, keep=0.6):
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])


def cut_in_header(path):
    path.write_bytes(path.read_bytes()[:20])


def replace_by_text(path):
    path.write_text('Not Found')


def empty(path):
    path.write_bytes(b'')


def remove(path):
    path.unlink()


def break_checksum(path):
    content = bytearray(path.read_bytes())
    for place in range(content.index(b'IDAT') + 4, len(content) - 20):
        content[place] ^= 0xFF
    path.write_bytes(content)


def refused(*parts):
    """The error names ``parts`` in this order, in one line."""
    return pytest.raises(InputError, match='^[^\n]*' + '[^\n]*'.join(map(re.escape, parts)))


# what an image's header tells, and what only its pixels tell
HEADERS = (cut_in_header, replace_by_text, empty, remove)
PIXELS = (truncate, break_checksum)
DAMAGES = [
    (name, damage)
    for name, damage in itertools.product(TARGETS, (*HEADERS, *PIXELS))
    if damage is not break_checksum or name == 'idd'
]


class TestDamagedImage:
    @pytest.mark.parametrize(('name', 'damage'), DAMAGES)
    def test_training(self, data, name, damage):
        dataset = training_set(data)
        read_epoch(dataset)
        image = file(data, name, 1)
        damage(image)
        with refused(str(image), 'cannot be read (', '): replace the file.') as caught:
            read_epoch(dataset)
        assert str(caught.value).count(image.name) == 1

    @pytest.mark.parametrize('damage', [truncate, empty])
    def test_source(self, data, damage):
        image = file(data, SOURCE, 2)
        dataset = training_set(data)
        damage(image)
        with refused(str(image), 'cannot be read', 'replace the file'):
            read_epoch(dataset)

    @pytest.mark.parametrize(('name', 'damage'), DAMAGES)
    def test_validation(self, data, name, damage):
        image = file(data, name, 1, validation=True)
        dataset = validation_set(data)
        damage(image)
        with refused(str(image), 'cannot be read', 'replace the file'):
            list(dataset)

    def test_pseudo_labels(self, data):
        domain = training_set(data).targets[0]
        images = TargetImages(domain, Compose([TRANSFORMS.build(LOAD)]))
        assert images[1]['img'].shape == (HEIGHT, WIDTH, 3)
        image = Path(domain.get_data_info(1)['img_path'])
        truncate(image)
        with refused(str(image), 'cannot be read', 'truncated', 'replace the file'):
            images[1]

    def test_in_a_worker(self, data):
        """The kind of the error and its last line survive the way from the worker."""
        image = file(data, 'idd', 0, validation=True)
        truncate(image)
        loader = iter(DataLoader(validation_set(data, 'idd'), num_workers=1, collate_fn=list))
        with pytest.raises(InputError) as caught:
            next(loader)
        # the garbage collector would wait for the worker
        loader._shutdown_workers()
        last_line = str(caught.value).strip().splitlines()[-1]
        assert str(image) in last_line and last_line.endswith('replace the file.')

    def test_other_errors_are_not_blamed_on_the_image(self, data):
        domain = training_set(data).targets[0]

        def pipeline(results):
            raise OSError('another file')

        with pytest.raises(OSError, match='^another file$'):
            domain.run_pipeline(pipeline, domain.get_data_info(0))


class TestLabel:
    """A label is refused when it is loaded and by the check."""

    def refused_by(self, root, path, *parts, name=SOURCE):
        dataset = training_set(root, source=name, targets=())
        with refused(str(path), *parts):
            read_epoch(dataset)
        with refused(str(path), *parts):
            check_data(dataset)

    @pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'LA', 'I;16', '1'])
    @pytest.mark.parametrize('name', [SOURCE, 'cityscapes'])
    def test_mode(self, make_tree, name, mode):
        root = make_tree(name).parent
        path = file(root, name, 1, 'label')
        Image.new(mode, (WIDTH, HEIGHT)).save(path)
        with Image.open(path) as image:
            assert image.mode == mode
        self.refused_by(
            root, path, f'has mode {mode}, but', 'mode L or P: point', 'id images', name=name
        )

    @pytest.mark.parametrize('size', [(WIDTH // 2, HEIGHT // 2), (WIDTH, HEIGHT - 1)])
    def test_size(self, make_tree, size):
        root = make_tree('cityscapes').parent
        path = file(root, 'cityscapes', 1, 'label')
        Image.new('L', size).save(path)
        sizes = f'is {size[0]}x{size[1]}, but its image is {WIDTH}x{HEIGHT}: replace the one'
        self.refused_by(root, path, sizes, name='cityscapes')

    @pytest.mark.parametrize('size', [(96, 48), (24, 12), (100, 48), (96, 50)])
    def test_gta5_has_labels_of_other_sizes(self, data, size):
        pixels = random_ids(0, 'gta5', *size[::-1])
        Image.fromarray(pixels).save(file(data, SOURCE, 1, 'label'))
        dataset = training_set(data)
        read_epoch(dataset)
        check_data(dataset)
        sample = dataset.source[1]
        assert sample['img'].shape[:2] == sample['gt_seg_map'].shape == (16, 32)

    @pytest.mark.parametrize('size', [(102, 48), (48, 48), (96, 51)])
    def test_gta5_labels_of_another_shape(self, data, size):
        path = file(data, SOURCE, 1, 'label')
        Image.new('L', size).save(path)
        self.refused_by(data, path, f'is {size[0]}x{size[1]}, but its image is 48x24: replace')

    @pytest.mark.parametrize('damage', [truncate, empty])
    def test_damaged(self, data, damage):
        path = file(data, 'idd', 1, 'label', validation=True)
        dataset = validation_set(data)
        damage(path)
        with refused(str(path), 'cannot be read', 'replace the file'):
            list(dataset)

    def test_after_resize_it_is_compared_with_the_stored_image(self, data):
        resize_first = [LOAD, UNLABELLED[1], LOAD_LABEL, dict(type='MapLabels')]
        options = dict(role='validation', pipeline=resize_first)
        sample = DATASETS.build(config(data, 'idd', **options))[0]
        assert sample['img'].shape[:2] == (16, 32)
        assert sample['gt_seg_map'].shape == (HEIGHT, WIDTH)
        path = file(data, 'idd', 0, 'label', validation=True)
        Image.new('L', (32, 16)).save(path)
        with refused(str(path), 'is 32x16, but its image is 48x24'):
            DATASETS.build(config(data, 'idd', **options))[0]

    def test_colours_through_mmsegmentations_transform(self, data):
        path = file(data, 'idd', 0, 'label', validation=True)
        write_image(path, random_pixels(0))
        pipeline = [LOAD, dict(type='LoadAnnotations'), dict(type='MapLabels')]
        domain = DATASETS.build(config(data, 'idd', role='validation', pipeline=pipeline))
        with refused(str(path), 'is no single-channel image', 'point IDDDomain at the id images'):
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


def test_without_a_label_to_load_nothing_happens():
    results = dict(img_path='image.png')
    assert TRANSFORMS.build(LOAD_LABEL)(results) == dict(img_path='image.png')


class TestCheck:
    def test_good_data_passes_without_decoding(self, data, monkeypatch):
        train, validation = training_set(data), validation_set(data)
        monkeypatch.setattr(Image.Image, 'load', None)
        assert check_data(train, validation.datasets) is None

    @pytest.mark.parametrize(('name', 'damage'), itertools.product(TARGETS, HEADERS))
    @pytest.mark.parametrize('validation', [False, True])
    def test_image(self, data, name, damage, validation):
        image = file(data, name, 1, validation=validation)
        train, tested = training_set(data), validation_set(data)
        damage(image)
        with refused(str(image), 'cannot be read', 'replace the file') as caught:
            check_data(train, tested.datasets)
        assert str(caught.value).startswith(str(image))

    @pytest.mark.parametrize('validation', [False, True])
    def test_images_of_more_than_8_bits(self, data, validation):
        """Read as RGB, they would be white."""
        path = file(data, 'idd', 1, validation=validation)
        Image.new('I;16', (WIDTH, HEIGHT), 1000).save(path)
        with refused(str(path), 'has mode I;16, but images are read with 8 bits', 'convert it'):
            check_data(training_set(data), validation_set(data).datasets)

    def test_labels_of_targets_are_not_opened(self, data):
        empty(file(data, 'idd', 0, 'label'))
        check_data(training_set(data), validation_set(data).datasets)
        path = file(data, 'idd', 0, 'label', validation=True)
        empty(path)
        with refused(str(path), 'no image in a known format', 'replace the file'):
            check_data(training_set(data), validation_set(data).datasets)

    def test_the_first_of_several_is_named(self, data):
        first = file(data, SOURCE, 1, 'label')
        Image.new('RGB', (WIDTH, HEIGHT)).save(first)
        empty(file(data, 'mapillary', 0))
        empty(file(data, 'idd', 2, validation=True))
        with refused('3 images or their labels are wrong, the first: ', str(first), 'mode RGB'):
            check_data(training_set(data), validation_set(data).datasets)

    def test_a_file_of_training_and_validation_counts_once(self, data):
        image = file(data, 'idd', 0)
        train, validation = training_set(data), validation_set(data, 'idd', split='train')
        empty(image)
        with refused(str(image)) as caught:
            check_data(train, validation.datasets)
        assert str(caught.value).startswith(str(image))

    @pytest.mark.parametrize('linked', [False, True])
    def test_source_under_another_name_is_a_target(self, data, linked):
        again = 'gta5'
        if linked:
            again = 'linked'
            (data / again).mkdir()
            (data / again / 'images').symlink_to(data / 'gta5' / 'images')
        target = dict(config(data, 'gta5', domain='dusk'), data_root=str(data / again))
        with refused(str(data / again), "source 'gta5'", "target 'dusk'", 'data_root or split'):
            check_data(self.with_targets(data, target))

    def test_target_under_two_names(self, data):
        targets = [config(data, 'idd'), config(data, 'idd', domain='rain')]
        with refused("target 'idd'", "target 'rain'", 'give each domain images of its own'):
            check_data(self.with_targets(data, *targets))
        targets[1]['split'] = 'val'
        check_data(self.with_targets(data, *targets))

    def test_equal_copies_are_domains_of_their_own(self, data):
        shutil.copytree(data / 'idd', data / 'copy')
        copy = dict(config(data, 'idd', domain='copy'), data_root=str(data / 'copy'))
        check_data(self.with_targets(data, config(data, 'idd'), copy))

    def with_targets(self, root, *targets):
        return DATASETS.build(
            dict(
                type='MultiDomainDataset',
                source=config(root, SOURCE),
                targets=targets,
                source_pipeline=LABELLED,
                target_pipeline=UNLABELLED,
            )
        )


@pytest.mark.parametrize('name', LAYOUTS)
def test_only_gta5_tolerates_other_sizes(make_tree, name):
    domain: DomainDataset = DATASETS.build(config(make_tree(name).parent, name, role='source'))
    assert domain.label_size_fits((48, 24), (48, 24))
    assert domain.label_size_fits((1280, 720), (1914, 1052)) == (name == 'gta5')
