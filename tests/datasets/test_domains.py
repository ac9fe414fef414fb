"""What the four data sets have in common, in each role."""

import numpy as np
import pytest
from PIL import Image

from mlcl_mmseg.labels import LABEL_SPACES

from .conftest import (
    DATA_SETS,
    HEIGHT,
    LAYOUTS,
    LOAD,
    WIDTH,
    build_domain,
    expected_label,
    random_pixels,
    write_image,
)


@pytest.mark.parametrize('num_classes', [7, 19])
@pytest.mark.parametrize('role', ['source', 'validation'])
@pytest.mark.parametrize('name', DATA_SETS)
def test_labelled_role(make_tree, name, role, num_classes):
    layout = LAYOUTS[name]
    used = layout.training if role == 'source' else layout.validation
    domain = build_domain(name, make_tree(name, splits=[used]), role, num_classes)

    assert domain.domain == name
    assert len(domain) == len(layout.frames)
    assert domain.metainfo['classes'] == LABEL_SPACES[num_classes].classes
    assert domain.metainfo['palette'] == LABEL_SPACES[num_classes].palette
    for number, frame in enumerate(layout.frames):
        sample = domain[number]
        assert sample['img_path'].endswith(layout.image.format(split=used, frame=frame))
        assert sample['domain'] == name
        assert sample['img'].shape == (16, 32, 3)
        np.testing.assert_array_equal(
            sample['gt_seg_map'], expected_label(number, name, num_classes)
        )
        assert sample['gt_seg_map'].dtype == np.uint8


@pytest.mark.parametrize('name', DATA_SETS)
def test_target_needs_no_labels(make_tree, name):
    layout = LAYOUTS[name]
    root = make_tree(name, labels=False, splits=[layout.training])
    assert not any(path.name in ('gtFine', 'labels') for path in root.rglob('*'))
    domain = build_domain(name, root, 'target')
    assert len(domain) == len(layout.frames)
    for sample in domain:
        assert sample['img'].shape == (16, 32, 3)
        assert {'gt_seg_map', 'seg_map_path', 'label_format'}.isdisjoint(sample)


@pytest.mark.parametrize('name', DATA_SETS)
def test_target_with_labels_does_not_know_them(make_tree, name):
    sample = build_domain(name, make_tree(name), 'target')[0]
    assert {'gt_seg_map', 'seg_map_path', 'label_format'}.isdisjoint(sample)


@pytest.mark.parametrize('name', DATA_SETS)
def test_names_of_samples_are_unique_paths(make_tree, name):
    domain = build_domain(name, make_tree(name), 'target')
    names = [sample['sample_name'] for sample in domain]
    assert names == sorted(set(names))
    for frame, sample_name in zip(LAYOUTS[name].frames, names):
        assert sample_name.startswith(frame)


@pytest.mark.parametrize('name', DATA_SETS)
def test_folders_may_be_links(make_tree, tmp_path, name):
    real = make_tree(name, root=tmp_path / 'elsewhere')
    root = tmp_path / 'data' / name
    root.mkdir(parents=True)
    for folder in real.iterdir():
        (root / folder.name).symlink_to(folder, target_is_directory=True)
    if name == 'cityscapes':  # a link further down
        city = real / 'leftImg8bit' / 'val' / 'ulm'
        city.rename(tmp_path / 'ulm')
        city.symlink_to(tmp_path / 'ulm', target_is_directory=True)
    assert len(build_domain(name, root)) == len(LAYOUTS[name].frames)
    np.testing.assert_array_equal(
        build_domain(name, root)[2]['gt_seg_map'], expected_label(2, name, num_classes=19)
    )


@pytest.mark.parametrize('name', DATA_SETS)
def test_missing_folder(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=r'nowhere.* does not exist: .*data_root'):
        build_domain(name, tmp_path / 'nowhere')


@pytest.mark.parametrize('name', DATA_SETS)
def test_folder_without_images(make_tree, name):
    root = make_tree(name)
    for image in [*root.rglob('*_leftImg8bit.png'), *root.glob('*/images/*'), *root.glob('i*/*')]:
        image.unlink()
    with pytest.raises(FileNotFoundError, match=r'contains no \*.* image: correct data_root'):
        build_domain(name, root)


@pytest.mark.parametrize('role', ['source', 'validation'])
@pytest.mark.parametrize('name', DATA_SETS)
def test_missing_label(make_tree, name, role):
    root = make_tree(name)
    layout = LAYOUTS[name]
    used = layout.training if role == 'source' else layout.validation
    missing = layout.label.format(split=used, frame=layout.frames[1])
    (root / missing).unlink()
    with pytest.raises(FileNotFoundError, match=f'1 of 3 label .*{role} .*{missing}'):
        build_domain(name, root, role)


@pytest.mark.parametrize('name', DATA_SETS)
def test_colour_labels_are_refused(make_tree, name):
    root = make_tree(name)
    layout = LAYOUTS[name]
    label = layout.label.format(split=layout.validation, frame=layout.frames[0])
    write_image(root / label, random_pixels(0))
    with pytest.raises(ValueError, match=f'{label} has mode RGB, .* id images of the'):
        build_domain(name, root)[0]


def test_unknown_role(tmp_path):
    with pytest.raises(ValueError, match="role is 'teacher', but .* source, target, validation"):
        build_domain('cityscapes', tmp_path, 'teacher', pipeline=[])


def test_unknown_number_of_classes(make_tree):
    with pytest.raises(ValueError, match='num_classes is 20, but .* be 7 or 19'):
        build_domain('cityscapes', make_tree('cityscapes'), num_classes=20)


@pytest.mark.parametrize('name', ['..', '.', 'a/b', '../a', '/'])
def test_a_name_cannot_lead_elsewhere(make_tree, name):
    with pytest.raises(ValueError, match=r'domain is .*, but folders are named after it: set'):
        build_domain('idd', make_tree('idd'), domain=name)


def test_split_domain_and_indices_can_be_chosen(make_tree):
    root = make_tree('cityscapes', splits=['train', 'test'])
    domain = build_domain('cityscapes', root, split='test', domain='night', indices=2)
    assert len(domain) == 2
    assert '/test/' in domain[0]['img_path']
    assert domain[0]['domain'] == 'night'


def test_label_map_replaces_the_published_table(make_tree):
    domain = build_domain('cityscapes', make_tree('cityscapes'), label_map={7: 3, 23: 5})
    published = expected_label(0, 'cityscapes', num_classes=19)
    label = domain[0]['gt_seg_map']
    np.testing.assert_array_equal(label == 3, published == 0)
    np.testing.assert_array_equal(label == 5, published == 10)
    assert set(np.unique(label)) == {3, 5, 255}


def test_exif_rotation_is_ignored(make_tree):
    root = make_tree('mapillary', splits=['validation'])
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: rotated by a quarter
    path = root / 'validation' / 'images' / 'Yz-b.jpg'
    write_image(path, random_pixels(0), exif=exif)
    with Image.open(path) as image:
        assert image.getexif()[0x0112] == 6
        stored = np.asarray(image)
    loaded = build_domain('mapillary', root, pipeline=[LOAD])[0]['img']
    assert loaded.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(loaded[..., ::-1], stored)


@pytest.mark.parametrize('name', DATA_SETS)
def test_images_are_resized_as_pillow_does(make_tree, name):
    root = make_tree(name)
    for sample in build_domain(name, root):
        with Image.open(sample['img_path']) as image:
            expected = np.asarray(image.resize((32, 16), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(sample['img'][..., ::-1], expected)


def test_label_map_to_a_class_that_is_not_there(make_tree):
    with pytest.raises(ValueError, match=r'has \{5: 7\}, but .* 0 to 6, or 255 to ignore'):
        build_domain('cityscapes', make_tree('cityscapes'), num_classes=7, label_map={4: 255, 5: 7})


def test_image_in_two_formats(make_tree):
    root = make_tree('idd')
    image = next((root / 'leftImg8bit/train').rglob('*_leftImg8bit.png'))
    image.with_suffix('.jpg').write_bytes(b'')
    with pytest.raises(ValueError, match='exists in two formats: remove one of them'):
        build_domain('idd', root, 'target')


@pytest.mark.parametrize('raw', [-1, 256])
def test_label_map_of_an_id_that_cannot_be(make_tree, raw):
    with pytest.raises(ValueError, match=f'label_map of cityscapes has {{{raw}: 0}}'):
        build_domain('cityscapes', make_tree('cityscapes'), label_map={raw: 0})
