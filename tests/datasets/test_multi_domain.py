import itertools
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate
from mmseg.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import DataLoader

from mlcl_mmseg.datasets import StreamPosition, StreamSampler, multi_domain

from ..same import assert_same
from .conftest import LABELLED, LAYOUTS, PACK, UNLABELLED, WEAK, random_pixels, write_image

SOURCE_PIPELINE = [*LABELLED, WEAK, PACK]
TARGET_PIPELINE = [*UNLABELLED, WEAK, dict(type='StrongAugmentation'), PACK]
LENGTHS = dict(gta5=5, cityscapes=3, idd=2)


@pytest.fixture
def configs(make_tree):
    """A source of five images, a target of three and one of two; targets have no label."""
    sets = {}
    for name, length in LENGTHS.items():
        layout = LAYOUTS[name]
        frames = [f'{layout.frames[0][:-1]}{number}' for number in range(length)]
        root = make_tree(
            name, splits=[layout.training], frames=frames, labels=name == 'gta5', palette=False
        )
        sets[name] = dict(type=layout.type, data_root=str(root), num_classes=7)
    return sets


@pytest.fixture
def stream(configs):
    return build(configs)


def build(configs, **options):
    source, *targets = configs.values()
    defaults = dict(source_pipeline=SOURCE_PIPELINE, target_pipeline=TARGET_PIPELINE)
    config = dict(type='MultiDomainDataset', source=source, targets=targets, **defaults)
    return DATASETS.build({**config, **options})


def sampler(dataset, rank=0, world_size=1, seed=7):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multi_domain, 'get_dist_info', lambda: (rank, world_size))
        return DATA_SAMPLERS.build(
            dict(type='StreamSampler'), default_args=dict(dataset=dataset, seed=seed)
        )


def take(dataset, count, **options):
    return [dataset[position] for position in itertools.islice(sampler(dataset, **options), count)]


def parts(sample):
    return [sample['source'], *sample['targets']]


def test_sample(stream):
    sample = stream[StreamPosition(7, 0)]
    assert set(sample) == {'source', 'targets'}
    assert set(sample['source']) == {'img', 'label', 'img_path'}
    assert len(sample['targets']) == 2
    for part, name in zip(parts(sample), LENGTHS):
        assert part['img'].shape == (3, 8, 16) and part['img'].dtype == torch.uint8
        assert f'/{name}/' in part['img_path']
    assert sample['source']['label'].shape == (8, 16)
    assert set(sample['source']['label'].unique().tolist()) <= {*range(7), 255}


def test_targets_carry_no_label(stream):
    geometry = {'strong_img', 'strong_affine', 'strong_cutout'}
    for target in stream[StreamPosition(7, 0)]['targets']:
        assert set(target) == {'img', 'img_path'} | geometry
        assert target['strong_img'].shape == (3, 8, 16)
        assert target['strong_affine'].dtype == torch.float32
        assert target['strong_cutout'].dtype == torch.int64


def test_length_and_classes_are_told(stream):
    assert [domain.domain for domain in stream.domains] == list(LENGTHS)
    assert len(stream) == len(sampler(stream)) == 5
    assert len(stream.metainfo['classes']) == 7


def test_sample_is_a_function_of_seed_and_position(stream, configs):
    twice = build(configs)
    positions = [StreamPosition(7, index) for index in (4, 0, 11, 4)]
    first, *_, again = [stream[position] for position in positions]
    np.random.seed(1)
    random.seed(1)
    assert_same(first, again)
    assert_same(first, twice[StreamPosition(7, 4)])
    assert not torch.equal(first['source']['img'], stream[StreamPosition(8, 4)]['source']['img'])


def test_augmentation_differs_between_positions_and_domains(stream):
    """One image everywhere, so that only what the pipelines draw can differ."""
    for domain in stream.domains:
        for index in range(len(domain)):
            write_image(Path(domain.get_data_info(index)['img_path']), random_pixels(0))
    images = [part['img'] for sample in take(stream, 4) for part in parts(sample)]
    assert not any(torch.equal(*pair) for pair in itertools.combinations(images, 2))


def test_global_random_state_is_untouched(stream):
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    expected = random.random(), np.random.random(), torch.rand(())
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    stream[StreamPosition(7, 2)]
    assert (random.random(), np.random.random(), torch.rand(())) == expected


def test_global_random_state_is_restored_after_an_error(configs):
    stream = build(configs, target_pipeline=[*UNLABELLED, dict(WEAK, crop_size=(4000, 8))])
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    with pytest.raises(ValueError, match='crop'):
        stream[StreamPosition(7, 0)]
    assert np.random.random() == expected


def batches(dataset, count, num_workers=0, **options):
    loader = DataLoader(
        dataset,
        batch_size=2,
        sampler=sampler(dataset, **options),
        num_workers=num_workers,
        collate_fn=default_collate,
    )
    return list(itertools.islice(loader, count))


def test_workers_do_not_change_the_stream(stream):
    here = batches(stream, 4)
    assert here[0]['source']['img'].shape == (2, 3, 8, 16)
    assert here[0]['targets'][1]['strong_affine'].shape == (2, 2, 3)
    assert_same(here, batches(stream, 4, num_workers=2))


def test_two_processes_share_one_stream(stream):
    whole = take(stream, 12)
    ranks = [take(stream, 6, rank=rank, world_size=2) for rank in range(2)]
    interleaved = [sample for pair in zip(*ranks) for sample in pair]
    assert_same(interleaved, whole)


@pytest.mark.parametrize('world_size', [1, 2])
def test_skip_goes_on_where_a_run_stopped(stream, world_size):
    for rank in range(world_size):
        one = sampler(stream, rank, world_size)
        expected = list(itertools.islice(one, 3, 8))
        other = sampler(stream, rank, world_size)
        other.skip(3)
        assert list(itertools.islice(other, 5)) == expected


def test_each_epoch_of_a_domain_is_a_permutation(stream):
    samples = take(stream, 30, seed=1)
    for number, length in enumerate(LENGTHS.values()):
        paths = [parts(sample)[number]['img_path'] for sample in samples]
        epochs = [tuple(paths[start : start + length]) for start in range(0, 30, length)]
        assert {frozenset(epoch) for epoch in epochs} == {frozenset(epochs[0])}
        assert all(len(set(epoch)) == length for epoch in epochs)
        assert len(set(epochs)) > 1, 'every epoch has the same order'


def test_domains_of_one_length_have_orders_of_their_own(configs):
    targets = [dict(configs['gta5'], domain=f'part {number}') for number in range(2)]
    samples = take(build(configs, targets=targets), 20)
    orders = [tuple(parts(sample)[number]['img_path'] for sample in samples) for number in range(3)]
    assert len(set(orders)) == 3


def test_pseudo_labels_are_looked_up_by_domain_and_sample(configs):
    class Generation:
        def path(self, domain, sample_name):
            assert domain != 'gta5', 'the source has labels'
            return f'{domain}:{sample_name}.npy'

    keep = [*UNLABELLED, dict(type='mmseg.PackSegInputs', meta_keys=('pseudo_label_path',))]
    stream = build(configs, target_pipeline=keep)
    stream.pseudo_labels = Generation()
    for target, name in zip(stream[StreamPosition(7, 0)]['targets'], ('cityscapes', 'idd')):
        path = target['data_samples'].pseudo_label_path
        stem = LAYOUTS[name].frames[0][:-1]
        assert path.startswith(f'{name}:{stem}')


def test_target_without_pseudo_labels_says_so(configs):
    stream = build(configs, target_pipeline=[*UNLABELLED, dict(type='LoadSoftPseudoLabel'), PACK])
    with pytest.raises(FileNotFoundError, match='cityscapes has no pseudo-labels: .*Hook'):
        stream[StreamPosition(7, 0)]


def test_a_domain_given_twice_is_refused(configs):
    twice = [configs['idd'], configs['idd']]
    with pytest.raises(ValueError, match="domain 'idd' is listed twice, among the targets: .*once"):
        build(configs, targets=twice)
    with pytest.raises(
        ValueError, match="domain 'gta5' is listed twice, as source and as target: .*once"
    ):
        build(configs, targets=[configs['gta5']])
    assert len(build(configs, targets=[twice[0], dict(twice[1], domain='rain')]).targets) == 2


def test_validation_sets_follow_each_other(make_tree):
    domains = [
        dict(type=LAYOUTS[name].type, data_root=make_tree(name), num_classes=19)
        for name in ('cityscapes', 'idd')
    ]
    validation = DATASETS.build(
        dict(type='MultiDomainValidation', domains=domains, pipeline=LABELLED)
    )
    assert len(validation) == 6
    assert len(validation.metainfo['classes']) == 19
    assert [sample['domain'] for sample in validation] == ['cityscapes'] * 3 + ['idd'] * 3
    assert all('/val/' in sample['img_path'] for sample in validation)


def test_sampler_type_is_registered(stream):
    assert isinstance(sampler(stream), StreamSampler)
    assert next(iter(sampler(stream, rank=1, world_size=4))) == StreamPosition(7, 1)
