"""Which files of a folder are images and labels, and what is said of the others."""

import numpy as np
import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS
from PIL import Image

from mlcl_mmseg.datasets import found_files
from mlcl_mmseg.datasets.full_check import lone_labels
from mlcl_mmseg.datasets.prepare import prepare_config
from mlcl_mmseg.errors import InputError, MissingFileError

from .conftest import LABELLED, build_domain, random_pixels, write_label

IDS = np.full((16, 32), 3, np.uint8)


def write(root, *names):
    """Files of names relative to a root; those of a folder whose name has 'label' hold ids."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if 'label' in path.parts[len(root.parts)]:
            Image.fromarray(IDS).save(path, 'PNG')
        else:
            Image.fromarray(random_pixels(0, 16, 32)).save(path, 'PNG')


def folder_domain(root, role='target', **options):
    options.setdefault('pipeline', LABELLED if role == 'source' else [])
    options = dict(data_root=root, num_classes=7, role=role, domain='own', **options)
    return DATASETS.build(dict(type='FolderDomain', **options))


def names(domain):
    return [domain.get_data_info(index)['sample_name'] for index in range(len(domain))]


def test_the_case_of_suffixes_does_not_matter(tmp_path):
    write(tmp_path, 'images/a.png', 'images/b.PNG', 'images/c.Png')
    write(tmp_path, 'labels/a.PNG', 'labels/b.png', 'labels/c.Png')
    domain = folder_domain(tmp_path, 'source')
    assert names(domain) == ['a', 'b', 'c']
    assert all((sample['gt_seg_map'] == 3).all() for sample in domain)
    assert lone_labels(domain) == []


@pytest.mark.parametrize('name', ['gta5', 'cityscapes', 'mapillary', 'idd'])
def test_the_case_of_suffixes_in_published_layouts(make_tree, name):
    root = make_tree(name)
    expected = [sample['gt_seg_map'] for sample in build_domain(name, root, 'source')]
    for number, path in enumerate(sorted([*root.rglob('*.png'), *root.rglob('*.jpg')])):
        if number % 2:
            path.rename(path.with_suffix(path.suffix.upper()))
    domain = build_domain(name, root, 'source')
    for sample, label in zip(domain, expected, strict=True):
        np.testing.assert_array_equal(sample['gt_seg_map'], label)
    assert lone_labels(domain) == []


def test_several_suffixes(tmp_path):
    write(tmp_path, 'images/a.png', 'images/x/b.jpg', 'images/c.heic')
    write(tmp_path, 'labels/a_ids.tif', 'labels/x/b.png')
    suffixes = dict(image_suffix=['.jpg', '.png'], label_suffix=('.png', '_ids.tif'))
    domain = folder_domain(tmp_path, 'source', **suffixes)
    assert names(domain) == ['a', 'x/b']
    assert all((sample['gt_seg_map'] == 3).all() for sample in domain)
    for wrong in ([], 5, ['.png', None]):
        with pytest.raises(InputError, match="label_suffix of 'own' is .*: set a suffix such as"):
            folder_domain(tmp_path, image_suffix=wrong)


def test_suffixes_in_a_prepared_copy(tmp_path):
    write(tmp_path / 'own', 'images/a.PNG', 'images/b.jpg', 'labels/a.png', 'labels/b.TIF')
    suffixes = dict(image_suffix=['.png', '.jpg'], label_suffix=['.tif', '.png'])
    original = dict(type='FolderDomain', num_classes=7, domain='own', **suffixes)
    domains = [dict(original, data_root=str(tmp_path / 'own'))]
    dataset = dict(type='MultiDomainValidation', domains=domains, pipeline=LABELLED)
    config = Config(dict(val_dataloader=dict(dataset=dataset)), cfg_text='none')
    assert prepare_config(config, tmp_path / 'copies', num_workers=0).failures == []
    copy = folder_domain(tmp_path / 'copies/own', 'source', **suffixes)
    assert names(copy) == ['a', 'b']
    assert all((sample['gt_seg_map'] == 3).all() for sample in copy)
    assert lone_labels(copy) == []


@pytest.mark.parametrize('second', ['a.PNG', 'a.jpg'])
@pytest.mark.parametrize('folder', ['images', 'labels'])
def test_names_that_differ_in_the_suffix(tmp_path, folder, second):
    write(tmp_path, 'images/a.png', 'labels/a.png', f'{folder}/{second}')
    both = ['.png', '.jpg']
    with pytest.raises(InputError, match=f'{folder}/a.* exists in two formats: remove one of them'):
        folder_domain(tmp_path, 'source', image_suffix=both, label_suffix=both)


@pytest.fixture
def warnings_of(monkeypatch):
    """What the log says from now on."""
    found = []
    logger = found_files.MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'warning', found.append)
    monkeypatch.setattr(found_files, 'said', set())
    return found


@pytest.mark.parametrize('name', ['images/._a.png', 'images/.cache/a.png', 'labels/._a.png'])
def test_hidden_files_are_not_there(tmp_path, name, warnings_of):
    write(tmp_path, 'images/a.png', 'labels/a.png', name)
    domain = folder_domain(tmp_path, 'source')
    assert names(domain) == ['a'] and lone_labels(domain) == []
    assert warnings_of == []


def test_what_is_not_read_is_counted_once(tmp_path, warnings_of):
    write(tmp_path, 'images/a.png', 'images/x/b.png', 'images/x/C.heic', 'images/d.HEIC')
    write(tmp_path, 'images/e.mp4', 'images/notes', 'images/Thumbs.db', 'images/.DS_Store')
    for _ in range(2):
        folder_domain(tmp_path)
    (sentence,) = warnings_of
    assert sentence == (
        f'4 files of {tmp_path}/images are not read: 2 .heic, 1 .mp4, 1 without suffix.'
    )


def test_nothing_is_said_while_only_errors_are_logged(tmp_path, warnings_of):
    """As in the rehearsal, after which the run itself says it."""
    write(tmp_path, 'images/a.png', 'images/b.gif')
    logger = found_files.MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('ERROR')
    folder_domain(tmp_path)
    logger.setLevel(level)
    assert warnings_of == []
    folder_domain(tmp_path)
    assert len(warnings_of) == 1


def test_images_of_other_splits_and_labels_beside_images_are_no_news(make_tree, tmp_path):
    write(tmp_path, 'all/a.jpg')
    write_label(tmp_path / 'all/a_label.png', IDS)
    domain = folder_domain(
        tmp_path,
        'source',
        image_dir='all',
        label_dir='all',
        image_suffix='.jpg',
        label_suffix='_label.png',
    )
    infos = [domain.get_data_info(index) for index in range(len(domain))]
    assert domain.count_unread(infos) == ''
    domain = build_domain('gta5', make_tree('gta5'), 'source')
    assert domain.count_unread([]) == ''


def test_a_folder_without_images_says_what_it_has(tmp_path):
    write(tmp_path, 'images/a.jpg', 'images/b.jpg')
    with pytest.raises(MissingFileError, match=r'contains no \*\.png image \(2 \.jpg\): correct'):
        folder_domain(tmp_path)


def test_folders_with_braces(tmp_path):
    write(tmp_path, '{x}{0}/train/a.png', 'label{/train/a.png')
    domain = folder_domain(tmp_path, 'source', image_dir='{x}{0}/{split}', label_dir='label{/train')
    assert names(domain) == ['a']
    assert (domain[0]['gt_seg_map'] == 3).all()


def test_a_name_of_a_folder_that_cannot_be(tmp_path):
    with pytest.raises(MissingFileError, match='does not exist: copy or link the data set own'):
        folder_domain(tmp_path, image_dir='x' * 300)


def test_lone_labels_behind_links_and_patterns(tmp_path):
    """A link that leads back does not repeat them, and brackets are no patterns."""
    root = tmp_path / 'data[1]*'
    write(root, 'images/a[b].png', 'labels/a[b].png', 'labels/[ab].PNG', 'labels/x/*.png')
    (root / 'labels/x/back').symlink_to(root / 'labels')
    (root / 'labels/folder.png').mkdir()
    labels = lone_labels(folder_domain(root, 'source'))
    assert [str(path.relative_to(root)) for path in labels] == ['labels/[ab].PNG', 'labels/x/*.png']


def test_a_label_that_is_a_folder_is_missing(tmp_path):
    write(tmp_path, 'images/a.png')
    (tmp_path / 'labels/a.png').mkdir(parents=True)
    with pytest.raises(MissingFileError, match='1 of 1 label images .* are missing'):
        folder_domain(tmp_path, 'source')


def test_a_name_of_a_label_that_is_too_long_is_missing(tmp_path):
    write(tmp_path, f'images/{"x" * 251}.png')
    with pytest.raises(MissingFileError, match='1 of 1 label images .* are missing'):
        folder_domain(tmp_path, 'source', label_suffix='_label.png')


def test_targets_do_not_look_for_labels(tmp_path, monkeypatch):
    write(tmp_path, 'images/a.png')
    monkeypatch.setattr('mlcl_mmseg.datasets.domain.match_labels', None)
    assert len(folder_domain(tmp_path)) == 1
