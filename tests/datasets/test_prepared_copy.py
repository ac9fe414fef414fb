"""Samples that are read from prepared copies are those of the originals."""

import copy
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmcv.transforms import Compose
from mmengine.config import Config
from mmseg.registry import DATASETS

from mlcl_mmseg.datasets import StreamPosition
from mlcl_mmseg.datasets.full_check import check_config_data
from mlcl_mmseg.datasets.prepare import prepare_config
from mlcl_mmseg.datasets.prepared_copy import PreparedCopy, loading_of
from mlcl_mmseg.engine.hooks.pseudo_label_hook import TargetImages
from mlcl_mmseg.engine.stage_settings import fingerprint
from mlcl_mmseg.errors import InputError, MissingFileError
from mlcl_mmseg.pseudo_labels import PseudoLabelGeneration

from ..same import assert_same
from .conftest import (
    LABELLED,
    LOAD,
    LOAD_LABEL,
    META,
    PACK,
    RESIZE,
    WEAK,
    build_domain,
    random_ids,
    random_pixels,
    write_image,
    write_label,
)

ROOT = Path(__file__).parents[2]
IMAGE = 'cityscapes/leftImg8bit/train/ulm/ulm_000000_000019_leftImg8bit.png'
# of the files that were read, not of what is in them
OF_FILES = ('img_path', 'ori_shape', 'scale_factor')


@pytest.fixture
def out(config, tmp_path):
    """Where the data sets of the config have been prepared."""
    prepare_config(config, tmp_path / 'copies', num_workers=0)
    return tmp_path / 'copies'


def moved(config, root):
    """The config with its data sets below another folder."""
    config = copy.deepcopy(config)
    train = config.train_dataloader.dataset
    loaders = (config.val_dataloader, config.test_dataloader)
    for domain in (
        *(train.source, *train.targets),
        *(each for loader in loaders if loader for each in loader.dataset.domains),
    ):
        domain.data_root = str(root / Path(domain.data_root).name)
    return config


def images_of(root, name='cityscapes', **options):
    """A target's images, loaded and resized."""
    return build_domain(name, root / name, 'target', **options)


def write_pseudo_labels(config, root):
    generation = PseudoLabelGeneration(root / 'pseudo_labels', 0)
    generation.begin()
    generator = np.random.default_rng(0)
    for target in DATASETS.build(config.train_dataloader.dataset).targets:
        for index in range(len(target)):
            soft = generator.random((7, 3, 5), np.float32)
            name = target.get_data_info(index)['sample_name']
            generation.write(target.domain, name, soft / soft.sum(0))
    generation.finish({})
    return generation


def as_arrays(sample):
    """MMSegmentation's sample in terms that can be compared."""
    data_sample = sample['data_samples']
    label = data_sample.gt_sem_seg.data if 'gt_sem_seg' in data_sample else None
    meta = {key: value for key, value in data_sample.metainfo.items() if key not in OF_FILES}
    return dict(inputs=sample['inputs'], label=label, **meta)


def test_samples_are_the_same(config, tmp_path, out):
    """All that a run reads: the stream, validation at the working size, the pseudo-label pass."""
    pseudo_labels = write_pseudo_labels(config, tmp_path)

    def read_all(config):
        train = DATASETS.build(config.train_dataloader.dataset)
        train.pseudo_labels = pseudo_labels
        for index in range(12):
            sample = train[StreamPosition(3, index)]
            for each in (sample['source'], *sample['targets']):
                each.pop('img_path')
            yield sample
        yield from map(as_arrays, DATASETS.build(config.val_dataloader.dataset))
        for target in train.targets:
            images = TargetImages(target, Compose([LOAD, RESIZE, META]))
            yield from (as_arrays(images[index]) for index in range(len(images)))

    expected = list(read_all(config))
    for name in ('gta5', 'cityscapes', 'idd'):
        shutil.rmtree(tmp_path / name)
    found = list(read_all(moved(config, out)))
    assert len(found) == len(expected) == 12 + 6 + 6
    for pair in zip(found, expected):
        assert_same(*pair)


@pytest.mark.parametrize(
    ('load', 'resize'),
    [
        (dict(imdecode_backend='cv2'), {}),
        (dict(color_type='color'), dict(backend='cv2')),
        ({}, dict(interpolation='nearest')),
    ],
)
def test_pipelines_of_others(config, tmp_path, load, resize):
    """A copy is made by the transforms of the config, and refuses others."""
    train = config.train_dataloader.dataset
    pipeline = [{**LOAD, **load}, {**RESIZE, **resize}]
    train.update(source_pipeline=pipeline, target_pipeline=pipeline)
    config.val_dataloader = config.test_dataloader = None
    prepare_config(config, tmp_path / 'copies', num_workers=0)
    expected = images_of(tmp_path, pipeline=pipeline)
    for found, original in zip(images_of(tmp_path / 'copies', pipeline=pipeline), expected):
        np.testing.assert_array_equal(found['img'], original['img'])
    with pytest.raises(
        InputError, match='is a copy of size 32x16 that was made by .* but the pipeline'
    ):
        images_of(tmp_path / 'copies')


def test_jpeg_images_of_any_size_and_palette_labels(make_tree, tmp_path):
    root = make_tree('mapillary')
    write_image(root / 'training/images/x_1.jpg', random_pixels(9, height=30, width=50))
    write_label(
        root / 'training/v1.2/labels/x_1.png', random_ids(9, 'mapillary', 30, 50), palette=True
    )
    config = dict(type='MapillaryDomain', data_root=str(root), num_classes=7)
    train = dict(source=config, source_pipeline=[*LABELLED, WEAK, PACK])
    prepare_config(
        Config(dict(train_dataloader=dict(dataset=train))), tmp_path / 'copies', num_workers=0
    )
    expected = build_domain('mapillary', root, 'source')
    found = build_domain('mapillary', tmp_path / 'copies/mapillary', 'source')
    assert len({each['ori_shape'] for each in expected}) == 2
    for pair in zip(found, expected):
        for key in ('img', 'gt_seg_map', 'img_shape', 'sample_name'):
            np.testing.assert_array_equal(pair[0][key], pair[1][key])


def test_a_stage_is_the_same_from_originals_and_copy(config, tmp_path, out):
    """So that it may be resumed either way, with the originals at hand or not."""
    expected = fingerprint(config)
    assert fingerprint(moved(config, out)) == expected
    for name in ('gta5', 'cityscapes', 'idd'):
        shutil.rmtree(tmp_path / name)
    assert fingerprint(moved(config, out)) == expected


def test_full_resolution_is_refused(config, out):
    """A copy has no labels of full size: building the data set says so."""
    with pytest.raises(InputError, match='labels of 32x16, but .* to the original data'):
        DATASETS.build(moved(config, out).test_dataloader.dataset)


@pytest.mark.parametrize(
    'pipeline',
    [
        [LOAD, dict(RESIZE, scale=(16, 8))],
        [LOAD, dict(RESIZE, keep_ratio=True)],
        [LOAD, dict(type='RandomFlip', prob=0.0), RESIZE],
        [LOAD],
        [LOAD, RESIZE, LOAD_LABEL],
    ],
)
def test_other_pipelines_are_refused(out, pipeline):
    """As the data set's own, and when they are run on a data set with another."""
    with pytest.raises(InputError, match='cityscapes is a copy .* to the original data'):
        images_of(out, pipeline=pipeline)
    domain = images_of(out)
    with pytest.raises(InputError, match='cityscapes is a copy .* to the original data'):
        TargetImages(domain, Compose(pipeline))[0]


def add(path):
    write_image(path.with_name('ulm_000001_000019_leftImg8bit.png'), random_pixels(9))


def change(path):
    write_image(path, random_pixels(9))


@pytest.mark.parametrize(
    ('alter', 'message'),
    [
        (change, f'{IMAGE} has changed since'),
        (lambda path: os.utime(path, (1, 1)), f'{IMAGE} has changed since'),
        (add, 'leftImg8bit/train were added or removed since'),
        (os.remove, 'leftImg8bit/train were added or removed since'),
    ],
)
def test_a_stale_copy_is_refused(tmp_path, out, alter, message):
    assert len(images_of(out)) == 3
    alter(tmp_path / IMAGE)
    with pytest.raises(InputError, match=f'{message} .*cityscapes was prepared: set'):
        images_of(out)


def test_originals_on_a_disk_that_is_not_mounted(tmp_path, out):
    shutil.rmtree(tmp_path / 'cityscapes')
    (tmp_path / 'cityscapes').mkdir()
    assert len(images_of(out)) == 3


def test_what_was_not_prepared(out):
    with pytest.raises(MissingFileError, match="has no images of the split 'test' of Citysc.* run"):
        images_of(out, split='test')
    with pytest.raises(MissingFileError, match='has no copies of 3 of 3 label images, the first'):
        build_domain('cityscapes', out / 'cityscapes', 'source')


def flip(path):
    path.write_bytes(path.read_bytes()[:-5] + b'\0\1\2\3\4')


@pytest.mark.parametrize('name', ['images', 'labels'])
def test_a_cut_copy_is_named_in_training(out, name):
    path = out / f'gta5/{name}/00002.png.bmp'
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=f'{path.name} cannot be read .*: run python'):
        list(build_domain('gta5', out / 'gta5', 'source'))


@pytest.mark.parametrize('damage', [flip, change, os.remove])
def test_the_full_check_reads_digests(config, out, damage):
    config = moved(config, out)
    # the validation images of the fixture are those of training
    config.val_dataloader = config.test_dataloader = None
    assert not check_config_data(config, num_workers=1).problems
    damage(out / f'{IMAGE}.bmp')
    (problem,) = check_config_data(config, num_workers=1).problems
    assert f'{IMAGE}.bmp ' in problem
    assert ': run python tools/dataset_converters/prepare.py' in problem


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=40) | st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda each: st.lists(each, max_size=7)
    | st.dictionaries(st.sampled_from(['format', 'size', 'files', 'source', 'a.png']), each),
).map(lambda each: json.dumps(each).encode()))  # fmt: skip
def test_a_manifest_of_any_content(tmp_path, content):
    (tmp_path / 'prepared.json').write_bytes(content)
    with pytest.raises(InputError, match=r'prepared.json is damaged .*: remove'):
        PreparedCopy.read(tmp_path)


@pytest.mark.parametrize('name', ['domains_7', 'domains_7_large', 'domains_19', 'toy_7'])
def test_shipped_pipelines_can_be_prepared(name):
    config = Config.fromfile(ROOT / f'configs/_base_/datasets/{name}.py')
    for pipeline_name, pipeline in config.pipelines.items():
        loading = loading_of(Compose(pipeline))
        if pipeline_name == 'test_full_resolution':
            assert loading is None
        else:
            assert loading.size == config.working_size
            assert loading.labelled == (pipeline_name in ('source', 'test'))
