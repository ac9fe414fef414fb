import itertools
import json
import os
import pickle
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmcv.transforms import Compose, LoadImageFromFile
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmseg.registry import DATASETS
from torch.utils.data import DataLoader

from mlcl_mmseg.datasets import DomainDataset, StreamPosition, prepare
from mlcl_mmseg.datasets.prepare import prepare_config
from mlcl_mmseg.datasets.prepared import loading_of
from mlcl_mmseg.datasets.prepared_files import PreparedFiles, Record
from mlcl_mmseg.engine.hooks.pseudo_label_hook import TargetImages
from mlcl_mmseg.engine.stage_settings import decisive_settings
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.pseudo_labels import PseudoLabelGeneration

from .conftest import LABELLED, LAYOUTS, LOAD, LOAD_LABEL, RESIZE, random_pixels, write_image
from .test_multi_domain import assert_same

META = dict(
    type='mmseg.PackSegInputs',
    meta_keys=('img_path', 'ori_shape', 'img_shape', 'scale_factor', 'domain', 'sample_name'),
)
WEAK = dict(type='WeakAugmentation', crop_size=(16, 8))
PACK = dict(type='PackDomainInputs')
SELF_TRAINING = [
    *(LOAD, RESIZE, dict(type='LoadSoftPseudoLabel'), WEAK),
    *(dict(type='StrongAugmentation'), PACK),
]
FULL_RESOLUTION = [LOAD, RESIZE, LOAD_LABEL, dict(type='MapLabels'), META]
SIZE = '32x16'
ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(make_tree):
    """GTA5 to Cityscapes and IDD; IDD has labels for validation, Cityscapes for training too."""
    roots = dict(gta5=make_tree('gta5'), cityscapes=make_tree('cityscapes'))
    roots['idd'] = make_tree('idd', splits=['train'], labels=False)
    make_tree('idd', root=roots['idd'], splits=['val'])
    source, *targets = (
        dict(type=LAYOUTS[name].type, data_root=str(root), num_classes=7)
        for name, root in roots.items()
    )
    train = dict(
        type='MultiDomainDataset',
        source=source,
        targets=targets,
        source_pipeline=[*LABELLED, WEAK, PACK],
        target_pipeline=SELF_TRAINING,
    )
    validation = dict(type='MultiDomainValidation', domains=targets, pipeline=[*LABELLED, META])
    return Config(
        dict(
            train_dataloader=dict(dataset=train),
            val_dataloader=dict(dataset=validation),
            test_dataloader=dict(dataset={**validation, 'pipeline': FULL_RESOLUTION}),
        ),
        cfg_text='as below',
        filename='own.py',
    )


def prepare_here(config, **options):
    """In this process: ``{data set: (images, new ones)}``."""
    found = prepare_config(config, num_workers=0, **options)
    return {Path(each.folder).parent.name: (each.images, each.made) for each in found}


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


def test_labels_of_targets_are_never_opened(config, monkeypatch):
    config.val_dataloader = config.test_dataloader = None
    cityscapes = Path(config.train_dataloader.dataset.targets[0].data_root)
    for label in cityscapes.rglob('*_labelIds.png'):
        label.write_bytes(b'not to be read')
    assert prepare_here(config)['cityscapes'] == (3, 3)
    folder = cityscapes.parent / 'prepared' / 'cityscapes' / SIZE
    assert {path.name for path in folder.iterdir()} == {'images.bin', 'images.json', '.lock'}


def test_prepared_once_for_all_configs(config):
    """A role that reads labels adds them; other classes change nothing."""
    train = config.train_dataloader.dataset
    prepare_here(config)
    assert prepare_here(config) == dict(gta5=(3, 0), cityscapes=(6, 0), idd=(6, 0))
    for each in (train.source, *train.targets):
        each.num_classes = 19
    assert prepare_here(config) == dict(gta5=(3, 0), cityscapes=(6, 0), idd=(6, 0))
    train.source = train.targets.pop(0)
    assert prepare_here(config) == dict(cityscapes=(6, 3), idd=(6, 0))
    assert prepare_here(config) == dict(cityscapes=(6, 0), idd=(6, 0))


def test_a_stage_is_the_same_with_and_without(config):
    before = decisive_settings(config)
    prepare_here(config)
    assert decisive_settings(config) == before


def images_of(config, **options):
    defaults = dict(role='target', pipeline=[LOAD, RESIZE])
    target = config.train_dataloader.dataset.targets[0]
    return DATASETS.build({**target, **defaults, **options})


def is_read(domain):
    """Whether the images come from a preparation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LoadImageFromFile, 'transform', lambda *_: dict(img='decoded'))
        patch.setattr(type(domain.pipeline.transforms[1]), 'transform', lambda _, results: results)
        return [not isinstance(each['img'], str) for each in domain]


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


def test_a_changed_file_is_named_and_made_anew(config, tmp_path):
    prepare_here(config)
    path = tmp_path / 'cityscapes/leftImg8bit/train/ulm/ulm_000000_000019_leftImg8bit.png'
    write_image(path, random_pixels(9))
    with pytest.raises(
        InputError, match=f'{path.name} has changed since .*{SIZE} was prepared: run'
    ):
        images_of(config)
    assert prepare_here(config)['cityscapes'] == (6, 1)
    images = images_of(config)
    assert all(is_read(images))
    number = next(i for i, each in enumerate(images) if each['img_path'] == str(path))
    expected = images.run_pipeline(lambda info: Compose([LOAD, RESIZE])(info), dict(images[number]))
    np.testing.assert_array_equal(images[number]['img'], expected['img'])


def test_what_is_missing_is_read_from_the_data_set(config, tmp_path, caplog, monkeypatch):
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


DAMAGES = dict(
    flipped=lambda path: path.write_bytes(path.read_bytes()[:-5] + b'\0\1\2\3\4'),
    cut=lambda path: os.truncate(path, path.stat().st_size - 1),
    gone=lambda path: path.unlink(),
)


@pytest.mark.parametrize('damage', DAMAGES)
@pytest.mark.parametrize('kind', ['images', 'labels'])
def test_damaged_pixels_are_named_and_made_anew(config, tmp_path, kind, damage):
    config.train_dataloader.dataset.targets = []
    config.val_dataloader = config.test_dataloader = None
    prepare_here(config)
    path = tmp_path / 'prepared/gta5' / SIZE / f'{kind}.bin'
    whole = path.read_bytes()
    DAMAGES[damage](path)
    train = DATASETS.build(config.train_dataloader.dataset)
    message = r'cannot be read \(No such' if damage == 'gone' else f'damaged where .*{kind}/00007'
    with pytest.raises(InputError, match=f'{kind}.bin .*{message}.*run python .*prepare.py'):
        for index in range(3):
            train[StreamPosition(0, index)]
    assert prepare_here(config) == dict(gta5=(3, 3 if damage == 'gone' else 1))
    assert path.read_bytes() == whole
    assert prepare_here(config) == dict(gta5=(3, 0))


def test_damaged_manifest(config, tmp_path):
    prepare_here(config)
    path = tmp_path / 'prepared/cityscapes' / SIZE / 'images.json'
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(InputError, match=r'images.json cannot be understood .*: run python'):
        images_of(config)
    assert prepare_here(config)['cityscapes'] == (6, 6)
    assert path.read_bytes() == whole


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=40) | st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda each: st.lists(each, max_size=7)
    | st.dictionaries(st.sampled_from(['format', 'shape', 'records', 'a.png']), each),
).map(lambda each: json.dumps(each).encode()))  # fmt: skip
def test_manifest_of_any_content(tmp_path, content):
    files = PreparedFiles(tmp_path / 'images', (2, 2, 3))
    files.manifest_path.write_bytes(content)
    try:
        records = files.records()
    except InputError:
        return
    assert all(type(each) is Record for each in records.values())


def test_a_damaged_image_ends_it_and_what_was_made_stays(config, tmp_path):
    path = tmp_path / 'idd/leftImg8bit/train/0/024541_leftImg8bit.png'
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    with pytest.raises(InputError, match=f'{path.name} cannot be read'):
        prepare_here(config)
    path.write_bytes(whole)
    found = prepare_here(config)
    assert found['gta5'] == (3, 0) and found['cityscapes'][1] < 6 and found['idd'][1] < 6
    assert prepare_here(config) == dict(gta5=(3, 0), cityscapes=(6, 0), idd=(6, 0))


def test_killed_and_started_again(config, tmp_path, monkeypatch):
    """SIGKILL in the midst: what the manifest names is whole, the rest is made."""
    monkeypatch.setattr(prepare, 'SECONDS', 0)
    do = prepare.prepare
    manifest = tmp_path / 'prepared/gta5' / SIZE / 'labels.json'
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(prepare, 'prepare', lambda job: (time.sleep(0.05), do(job))[1])
        prepare_here(config)
        os._exit(0)
    while not manifest.is_file():
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found = prepare_here(config)
    assert 0 < sum(made for _, made in found.values()) < 15
    assert prepare_here(config) == dict(gta5=(3, 0), cityscapes=(6, 0), idd=(6, 0))


def test_a_disk_that_is_too_small(config, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare.shutil, 'disk_usage', lambda _: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match=r'prepared needs 0\.0 GB more .*choose another --out'):
        prepare_here(config)
    assert not list(tmp_path.rglob('*.bin'))


def test_two_at_once(config, tmp_path):
    folder = tmp_path / 'prepared/gta5' / SIZE
    with prepare.locked_folder(folder):
        child = os.fork()
        if child == 0:
            try:
                prepare_here(config)
            except InputError as error:
                os._exit(7 if 'is in use by another run' in str(error) else 1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


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
