"""Samples that are read from a preparation."""

import itertools
import pickle

import numpy as np
import pytest
from mmcv.transforms import Compose, LoadImageFromFile
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmseg.registry import DATASETS
from torch.utils.data import DataLoader

from mlcl_mmseg.datasets import DomainDataset, StreamPosition
from mlcl_mmseg.datasets.prepare import prepare_config
from mlcl_mmseg.datasets.prepared import loading_of
from mlcl_mmseg.datasets.prepared_files import PreparedFiles
from mlcl_mmseg.engine.hooks.pseudo_label_hook import TargetImages
from mlcl_mmseg.engine.stage_settings import decisive_settings
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.pseudo_labels import PseudoLabelGeneration

from ..same import assert_same
from .conftest import LOAD, META, PACK, RESIZE, WEAK, random_pixels, write_image
from .preparing import ROOT, SIZE, images_of, is_read, prepare_here


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


def forbid_decoding(monkeypatch):
    """Let nobody read an image of a data set."""
    monkeypatch.setattr(LoadImageFromFile, 'transform', lambda *_: pytest.fail('decoded an image'))


def as_arrays(sample):
    """MMSegmentation's sample in terms that can be compared."""
    data_sample = sample['data_samples']
    label = data_sample.gt_sem_seg.data if 'gt_sem_seg' in data_sample else None
    return dict(inputs=sample['inputs'], label=label, **data_sample.metainfo)


def test_samples_are_the_same(config, tmp_path, monkeypatch):
    """All that a run reads: the stream, validation at both sizes, the pseudo-label pass."""
    pseudo_labels = write_pseudo_labels(config, tmp_path)

    def read_all():
        train = DATASETS.build(config.train_dataloader.dataset)
        train.pseudo_labels = pseudo_labels
        yield from (train[StreamPosition(3, index)] for index in range(12))
        for loader in (config.val_dataloader, config.test_dataloader):
            yield from map(as_arrays, DATASETS.build(loader.dataset))
        for target in train.targets:
            images = TargetImages(target, Compose([LOAD, RESIZE, META]))
            yield from (as_arrays(images[index]) for index in range(len(images)))

    expected = list(read_all())
    assert prepare_here(config) == dict(gta5=(3, 3), cityscapes=(6, 6), idd=(6, 6))
    forbid_decoding(monkeypatch)
    found = list(read_all())
    assert len(found) == len(expected) == 12 + 6 + 6 + 6
    for pair in zip(found, expected):
        assert_same(*pair)


def test_a_stage_is_the_same_with_and_without(config):
    before = decisive_settings(config)
    prepare_here(config)
    assert decisive_settings(config) == before


@pytest.mark.parametrize('variable', [None, '', 'elsewhere'])
def test_where_it_lies(config, tmp_path, monkeypatch, variable):
    if variable == 'elsewhere':
        monkeypatch.setenv('MLCL_PREPARED_ROOT', str(tmp_path / 'elsewhere'))
    prepare_here(config)
    root = tmp_path / (variable or 'prepared')
    assert (root / 'cityscapes' / SIZE / 'images.bin').is_file()
    assert all(is_read(images_of(config)))
    if variable == '':
        monkeypatch.setenv('MLCL_PREPARED_ROOT', '')
        assert not any(is_read(images_of(config)))
        with pytest.raises(InputError, match='MLCL_PREPARED_ROOT is empty: .* --out'):
            prepare_here(config)
    prepare_here(config, root=tmp_path / 'chosen')
    assert (tmp_path / 'chosen' / 'cityscapes' / SIZE / 'images.bin').is_file()


@pytest.mark.parametrize(
    'pipeline',
    [
        [dict(LOAD, imdecode_backend='cv2'), RESIZE],
        [dict(LOAD, color_type='color'), RESIZE],
        [LOAD, dict(RESIZE, backend='cv2')],
        [LOAD, dict(RESIZE, keep_ratio=True)],
        [LOAD, dict(RESIZE, interpolation='nearest')],
        [LOAD, dict(RESIZE, scale=(16, 8))],
        [LOAD, dict(type='RandomFlip', prob=0.0), RESIZE],
    ],
)
def test_other_pipelines_do_not_read_it(config, pipeline):
    """Nor when they are run on a data set whose own pipeline does."""
    prepare_here(config)
    for domain in (images_of(config), images_of(config, pipeline=pipeline)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(PreparedFiles, 'read', lambda *_: pytest.fail('read a preparation'))
            domain.run_pipeline(Compose(pipeline), domain.get_data_info(0))
    config.train_dataloader.dataset.update(source_pipeline=pipeline, target_pipeline=pipeline)
    config.val_dataloader = config.test_dataloader = None
    if pipeline[-1].get('scale') == RESIZE['scale']:
        with pytest.raises(InputError, match='own.py begins with LoadImageFromFile, .* nothing to'):
            prepare_here(config)


def test_what_is_missing_is_read_from_the_data_set(config, tmp_path, monkeypatch):
    prepare_here(config)
    new = tmp_path / 'cityscapes/leftImg8bit/train/aachen/aachen_000000_000001_leftImg8bit.png'
    write_image(new, random_pixels(9))
    said = []
    monkeypatch.setattr('mlcl_mmseg.datasets.domain.print_log', lambda text, **_: said.append(text))
    assert is_read(images_of(config)) == [False, True, True, True]
    assert f"target 'cityscapes': 3 of 4 images are read from {tmp_path}/prepared" in said[0]
    assert 'for all of them run python tools/dataset_converters/prepare.py' in said[0]
    assert prepare_here(config)['cityscapes'] == (7, 1)
    assert is_read(images_of(config)) == [True] * 4
    assert said[1].endswith(f'4 of 4 images are read from {tmp_path}/prepared/cityscapes/{SIZE}.')
    assert len(said) == 2


def test_processes(config):
    """Those that prepare, those of a loader, and those that a data set is sent to."""
    config.train_dataloader.dataset.target_pipeline = [LOAD, RESIZE, WEAK, PACK]
    train = DATASETS.build(config.train_dataloader.dataset)
    positions = [StreamPosition(1, index) for index in range(4)]
    expected = [train[position] for position in positions]
    found = prepare_config(config, num_workers=2)
    assert [each.made for each in found] == [3, 6, 6]
    train = DATASETS.build(config.train_dataloader.dataset)
    assert_same(train[positions[0]], expected[0])
    sent = pickle.loads(pickle.dumps(train))
    loader = DataLoader(train, 2, sampler=positions, num_workers=2, collate_fn=default_collate)
    with pytest.MonkeyPatch.context() as patch:
        forbid_decoding(patch)
        assert_same([sent[position] for position in positions], expected)
        batches = [default_collate(expected[:2]), default_collate(expected[2:])]
        assert_same(list(itertools.islice(loader, 2)), batches)


@pytest.mark.parametrize('name', ['domains_7', 'domains_7_large', 'domains_19', 'toy_7'])
def test_shipped_pipelines_can_be_prepared(name):
    config = Config.fromfile(ROOT / f'configs/_base_/datasets/{name}.py')
    for pipeline_name, pipeline in config.pipelines.items():
        loading = loading_of(Compose(pipeline))
        assert loading.size == config.working_size
        assert loading.labelled == (pipeline_name in ('source', 'test'))


def test_images_of_other_sizes(config, tmp_path):
    """The size of the original is part of a sample."""
    path = tmp_path / 'cityscapes/leftImg8bit/train/ulm/ulm_000000_000019_leftImg8bit.png'
    write_image(path, random_pixels(9, height=30, width=50))
    images = images_of(config)
    assert isinstance(images, DomainDataset)
    expected = [each['ori_shape'] for each in images]
    assert set(expected) == {(24, 48), (30, 50)}
    prepare_here(config)
    images = images_of(config)
    assert all(is_read(images))
    assert [each['ori_shape'] for each in images] == expected
