import numpy as np
import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS
from PIL import Image
from scipy.io import savemat

from mlcl_mmseg.datasets.label_spaces import LABEL_SPACES, RAW_LABELS

from .conftest import (
    DATA_SETS,
    HEIGHT,
    LABELLED,
    LAYOUTS,
    LOAD,
    UNLABELLED,
    WIDTH,
    random_ids,
    random_pixels,
    write_image,
    write_label,
)


def build(name, root, role='validation', num_classes=19, **options):
    options.setdefault('pipeline', UNLABELLED if role == 'target' else LABELLED)
    config = dict(
        type=LAYOUTS[name].type, data_root=root, num_classes=num_classes, role=role, **options
    )
    return DATASETS.build(config)


def expected_label(number, name, num_classes, size=(32, 16)):
    raw_labels = LAYOUTS[name].raw_labels
    ids = np.asarray(
        Image.fromarray(random_ids(number, raw_labels)).resize(size, Image.Resampling.NEAREST)
    )
    column = {7: 1, 19: 2}[num_classes]
    return np.array([[RAW_LABELS[raw_labels][i][column] for i in row] for row in ids.tolist()])


@pytest.mark.parametrize('num_classes', [7, 19])
@pytest.mark.parametrize('role', ['source', 'validation'])
@pytest.mark.parametrize('name', DATA_SETS)
def test_labelled_role(make_tree, name, role, num_classes):
    layout = LAYOUTS[name]
    used = layout.training if role == 'source' else layout.validation
    domain = build(name, make_tree(name, splits=[used]), role, num_classes)

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
    domain = build(name, root, 'target')
    assert len(domain) == len(layout.frames)
    for sample in domain:
        assert sample['img'].shape == (16, 32, 3)
        assert {'gt_seg_map', 'seg_map_path', 'map_label'}.isdisjoint(sample)


@pytest.mark.parametrize('name', DATA_SETS)
def test_target_with_labels_does_not_know_them(make_tree, name):
    sample = build(name, make_tree(name), 'target')[0]
    assert {'gt_seg_map', 'seg_map_path', 'map_label'}.isdisjoint(sample)


@pytest.mark.parametrize('name', DATA_SETS)
def test_names_of_samples_are_unique_paths(make_tree, name):
    domain = build(name, make_tree(name), 'target')
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
    assert len(build(name, root)) == len(LAYOUTS[name].frames)
    np.testing.assert_array_equal(
        build(name, root)[2]['gt_seg_map'], expected_label(2, name, num_classes=19)
    )


@pytest.mark.parametrize('name', DATA_SETS)
def test_missing_folder(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=r'nowhere.* does not exist: .*data_root'):
        build(name, tmp_path / 'nowhere')


@pytest.mark.parametrize('name', DATA_SETS)
def test_folder_without_images(make_tree, name):
    root = make_tree(name)
    for image in [*root.rglob('*_leftImg8bit.png'), *root.glob('*/images/*'), *root.glob('i*/*')]:
        image.unlink()
    with pytest.raises(FileNotFoundError, match=r'holds no \*.* image: check data_root and split'):
        build(name, root)


@pytest.mark.parametrize('role', ['source', 'validation'])
@pytest.mark.parametrize('name', DATA_SETS)
def test_missing_label(make_tree, name, role):
    root = make_tree(name)
    layout = LAYOUTS[name]
    used = layout.training if role == 'source' else layout.validation
    missing = layout.label.format(split=used, frame=layout.frames[1])
    (root / missing).unlink()
    with pytest.raises(FileNotFoundError, match=f'1 of 3 label .*{role} .*{missing}'):
        build(name, root, role)


@pytest.mark.parametrize('name', DATA_SETS)
def test_colour_labels_are_refused(make_tree, name):
    root = make_tree(name)
    layout = LAYOUTS[name]
    label = layout.label.format(split=layout.validation, frame=layout.frames[0])
    write_image(root / label, random_pixels(0))
    with pytest.raises(ValueError, match=f'{label} has mode RGB, .* id images of the'):
        build(name, root)[0]


def test_unknown_role(tmp_path):
    with pytest.raises(ValueError, match="role is 'teacher', but .* source, target, validation"):
        build('cityscapes', tmp_path, 'teacher', pipeline=[])


def test_unknown_number_of_classes(make_tree):
    with pytest.raises(ValueError, match='num_classes is 20, but .* 7 or 19 classes'):
        build('cityscapes', make_tree('cityscapes'), num_classes=20)


@pytest.mark.parametrize('name', ['..', '.', 'a/b', '../a', '/'])
def test_a_name_cannot_lead_elsewhere(make_tree, name):
    with pytest.raises(ValueError, match=r'domain is .*, but it names folders: give it a name'):
        build('idd', make_tree('idd'), domain=name)


def test_split_domain_and_indices_can_be_chosen(make_tree):
    root = make_tree('cityscapes', splits=['train', 'test'])
    domain = build('cityscapes', root, split='test', domain='night', indices=2)
    assert len(domain) == 2
    assert '/test/' in domain[0]['img_path']
    assert domain[0]['domain'] == 'night'


def test_label_map_replaces_the_published_table(make_tree):
    domain = build('cityscapes', make_tree('cityscapes'), label_map={7: 3, 23: 5})
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
    loaded = build('mapillary', root, pipeline=[LOAD])[0]['img']
    assert loaded.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(loaded[..., ::-1], stored)


@pytest.mark.parametrize('name', DATA_SETS)
def test_images_are_resized_as_pillow_does(make_tree, name):
    root = make_tree(name)
    for sample in build(name, root):
        with Image.open(sample['img_path']) as image:
            expected = np.asarray(image.resize((32, 16), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(sample['img'][..., ::-1], expected)


def test_idd_reads_png_and_jpg(make_tree):
    root = make_tree('idd')
    png = root / 'leftImg8bit' / 'val' / '0' / '024541_leftImg8bit.png'
    with Image.open(png) as image:
        image.save(png.with_suffix('.jpg'))
    png.unlink()
    domain = build('idd', root)
    assert [sample['img_path'][-3:] for sample in domain] == ['png', 'jpg', 'png']
    for number, sample in enumerate(domain):
        np.testing.assert_array_equal(sample['gt_seg_map'], expected_label(number, 'idd', 19))


def test_idd_without_converted_labels_names_the_converter(make_tree):
    root = make_tree('idd', labels=False)
    with pytest.raises(FileNotFoundError, match=r'tools/dataset_converters/idd\.py .*idd'):
        build('idd', root)


@pytest.mark.parametrize('labels', ['v1.2/labels', 'labels'])
@pytest.mark.parametrize('training', ['training', 'train'])
def test_mapillary_layouts(make_tree, training, labels):
    root = make_tree(
        'mapillary',
        splits=[training, 'validation'],
        label='{split}/' + labels + '/{frame}.png',
    )
    for role in ('source', 'validation'):
        label = build('mapillary', root, role)[1]['gt_seg_map']
        np.testing.assert_array_equal(label, expected_label(1, 'mapillary', 19))
    assert len(build('mapillary', root, 'target')) == 3


def test_mapillary_prefers_the_v12_labels(make_tree):
    root = make_tree('mapillary')
    write_label(root / 'validation' / 'labels' / 'Yz-b.png', np.full((HEIGHT, WIDTH), 120, 'u1'))
    label = build('mapillary', root)[0]['gt_seg_map']
    np.testing.assert_array_equal(label, expected_label(0, 'mapillary', 19))


def test_mapillary_refuses_ids_of_v2(make_tree):
    root = make_tree('mapillary')
    path = root / 'validation' / 'v1.2' / 'labels' / '_0aQ.png'
    ids = random_ids(1, 'mapillary_v1.2')
    ids[HEIGHT // 2 :] = 66
    write_label(path, ids, palette=True)
    domain = build('mapillary', root)
    assert domain[0]['gt_seg_map'].shape == (16, 32)
    with pytest.raises(ValueError, match=r'_0aQ\.png holds label id 66, but .* v1\.2 ends at 65'):
        domain[1]


def test_mapillary_with_v2_only(make_tree):
    root = make_tree('mapillary', label='{split}/v2.0/labels/{frame}.png')
    with pytest.raises(FileNotFoundError, match=r'neither v1\.2/labels nor labels.*v2\.0 numbers'):
        build('mapillary', root)
    assert len(build('mapillary', root, 'target')) == 3


def save_split(root):
    savemat(root / 'split.mat', dict(trainIds=[[1], [7]], valIds=[[2]], testIds=[[9]]))


@pytest.mark.parametrize(
    ('split', 'frames'),
    [('all', ['00001', '00002', '00007']), ('train', ['00001', '00007']), ('val', ['00002'])],
)
def test_gta5_split_file(make_tree, split, frames):
    root = make_tree('gta5')
    save_split(root)
    domain = build('gta5', root, split=split)
    assert [sample['sample_name'] for sample in domain] == frames


def test_gta5_without_split_file(make_tree):
    root = make_tree('gta5')
    assert len(build('gta5', root, 'source')) == 3
    with pytest.raises(FileNotFoundError, match=r"split\.mat is missing: split='val' .*'all'"):
        build('gta5', root, split='val')


def test_gta5_split_without_images(make_tree):
    root = make_tree('gta5')
    save_split(root)
    with pytest.raises(FileNotFoundError, match=r"images holds no frame of .*split\.mat's 'test'"):
        build('gta5', root, split='test')


def test_gta5_split_leaves_out_what_has_no_number(make_tree):
    root = make_tree('gta5')
    save_split(root)
    write_image(root / 'images' / '00001 (copy).png', random_pixels(0))
    assert len(build('gta5', root, split='train')) == 2


def test_gta5_unknown_split(make_tree):
    root = make_tree('gta5')
    save_split(root)
    with pytest.raises(ValueError, match="split is 'training', but .* all, train, val, test"):
        build('gta5', root, split='training')


FOLDER_CONFIG = """
pipeline = {pipeline}
domain = dict(
    type='FolderDomain',
    data_root={root!r},
    num_classes=7,
    role='validation',
    domain='camvid_night',
    split='night',
    image_dir='{{split}}/images',
    label_dir='{{split}}/labels',
    image_suffix='_image.jpg',
    label_suffix='_ids.png',
    label_map={{0: 4, 3: 0, 4: 0, 11: 255}},
    pipeline=pipeline,
)
"""


def test_folder_domain_joins_by_config(tmp_path):
    raw = np.random.default_rng(0).integers(0, 12, (16, 32), np.uint8)
    write_image(tmp_path / 'night' / 'images' / 'drive' / 'a_image.jpg', random_pixels(0, 16, 32))
    write_label(tmp_path / 'night' / 'labels' / 'drive' / 'a_ids.png', raw)
    file = tmp_path / 'config.py'
    file.write_text(FOLDER_CONFIG.format(pipeline=LABELLED, root=str(tmp_path)))
    config = Config.fromfile(file)
    dumped = tmp_path / 'dumped.py'
    config.dump(dumped)  # what a run leaves in its work_dir

    for domain in map(DATASETS.build, (config.domain, Config.fromfile(dumped).domain)):
        assert len(domain) == 1
        assert domain[0]['sample_name'] == 'drive/a_image'
        assert domain[0]['domain'] == 'camvid_night'
        expected = np.select([raw == 0, (raw == 3) | (raw == 4)], [4, 0], 255)
        np.testing.assert_array_equal(domain[0]['gt_seg_map'], expected)


def test_folder_domain_takes_class_indices_without_a_map(tmp_path):
    raw = np.random.default_rng(0).integers(0, 12, (16, 32), np.uint8)
    write_image(tmp_path / 'images' / 'a.png', random_pixels(0, 16, 32))
    write_label(tmp_path / 'labels' / 'a.png', raw)
    domain = DATASETS.build(
        dict(
            type='FolderDomain',
            data_root=tmp_path,
            num_classes=7,
            role='source',
            domain='toy',
            pipeline=LABELLED,
        )
    )
    np.testing.assert_array_equal(domain[0]['gt_seg_map'], np.where(raw < 7, raw, 255))


def test_label_map_to_a_class_that_is_not_there(make_tree):
    with pytest.raises(ValueError, match=r'has \{5: 7\}, but .* 0 to 6, or 255 to ignore'):
        build('cityscapes', make_tree('cityscapes'), num_classes=7, label_map={4: 255, 5: 7})


def test_image_in_two_formats(make_tree):
    root = make_tree('idd')
    image = next((root / 'leftImg8bit/train').rglob('*_leftImg8bit.png'))
    image.with_suffix('.jpg').write_bytes(b'')
    with pytest.raises(ValueError, match='is there in two formats: remove one of them'):
        build('idd', root, 'target')


@pytest.mark.parametrize('raw', [-1, 256])
def test_label_map_of_an_id_that_cannot_be(make_tree, raw):
    with pytest.raises(ValueError, match=f'label_map of cityscapes has {{{raw}: 0}}'):
        build('cityscapes', make_tree('cityscapes'), label_map={raw: 0})
