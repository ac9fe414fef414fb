"""Every shipped config says what its name says."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmseg.registry import MODELS

ROOT = Path(__file__).parents[1] / 'configs'
LETTERS = dict(g='gta5', c='cityscapes', m='mapillary', i='idd')
SETTINGS = ['g2ci', 'g2cm', 'g2mi', 'g2cmi', 'c2mi', 'i2cm', 'm2ci']
SIZES = {7: ((640, 320), (320, 160)), 19: ((1024, 512), (512, 256))}


def names(domains):
    return [domain.domain for domain in domains]


def sizes(config):
    pipelines = config.train_dataloader.dataset
    for pipeline in (pipelines.source_pipeline, pipelines.target_pipeline):
        by_type = {transform.type: transform for transform in pipeline}
        yield by_type['Resize'].scale, by_type['WeakAugmentation'].crop_size


@pytest.mark.parametrize('num_classes', [7, 19])
@pytest.mark.parametrize('setting', SETTINGS)
@pytest.mark.parametrize('stage', ['warmup', 'mlcl'])
def test_setting(stage, setting, num_classes):
    suffix = '' if num_classes == 7 else '_19'
    config = Config.fromfile(ROOT / stage / f'{setting}{suffix}.py')
    source, targets = setting.split('2')
    targets = [LETTERS[letter] for letter in targets]
    train = config.train_dataloader.dataset
    assert train.source.domain == LETTERS[source]
    assert names(train.targets) == config.model.targets == targets
    for dataloader in (config.val_dataloader, config.test_dataloader):
        assert names(dataloader.dataset.domains) == targets
    assert {domain.num_classes for domain in [train.source, *train.targets]} == {num_classes}
    assert config.model.decode_head.num_classes == num_classes
    assert set(sizes(config)) == {SIZES[num_classes]}
    assert config.model.type == dict(warmup='AdversarialWarmup', mlcl='MCLSegmentor')[stage]
    if stage == 'mlcl':
        assert Path(config.stage_before).resolve() == ROOT / f'warmup/{setting}{suffix}.py'
    hook = dict(warmup='DiscriminatorHook', mlcl='PseudoLabelHook')[stage]
    assert [each.type for each in config.custom_hooks] == [hook]


@pytest.mark.parametrize('stage', ['warmup', 'mlcl'])
@pytest.mark.parametrize(
    ('name', 'backbone', 'size'),
    [
        ('g2ci_vgg', 'DeepLabV2VGG', SIZES[7]),
        ('g2ci_segformer', 'MixTransformer', ((960, 480), (480, 240))),
        ('g2ci_19_segformer', 'MixTransformer', SIZES[19]),
    ],
)
def test_other_backbones(stage, name, backbone, size):
    """They differ from the ResNet's config in backbone, neck, sizes and optimiser alone."""
    config = Config.fromfile(ROOT / stage / f'{name}.py')
    resnet = Config.fromfile(ROOT / stage / f'{name.rpartition("_")[0]}.py')
    assert config.model.backbone.type == backbone
    assert set(sizes(config)) == {size}
    if stage == 'mlcl':
        assert Path(config.stage_before).resolve() == ROOT / f'warmup/{name}.py'
        optimizer = config.optim_wrapper.optimizer
        if backbone == 'MixTransformer':
            assert optimizer == dict(type='AdamW', lr=6e-5, weight_decay=1e-2)
            resnet.optim_wrapper.optimizer = optimizer
        assert [size[0]] == [
            step.scale for step in config.custom_hooks[0].pipeline if step.type == 'Resize'
        ]
    for part in ('backbone', 'neck'):
        config.model.pop(part, None)
        resnet.model.pop(part, None)
    assert config.model.decode_head.pop('in_channels') == 1024
    assert resnet.model.decode_head.pop('in_channels') == 2048
    for key in ('model', 'optim_wrapper', 'train_cfg', 'param_scheduler', 'randomness'):
        assert config[key] == resnet[key], key
    for key in ('source', 'targets'):
        assert config.train_dataloader.dataset[key] == resnet.train_dataloader.dataset[key]
    assert config.val_dataloader.dataset.domains == config.train_dataloader.dataset.targets


@pytest.mark.parametrize('num_classes', [7, 19])
@pytest.mark.parametrize('source', LETTERS.values())
def test_source_only(source, num_classes):
    suffix = '' if num_classes == 7 else '_19'
    config = Config.fromfile(ROOT / 'source_only' / f'{source}{suffix}.py')
    assert config.train_dataloader.dataset.source.domain == source
    assert config.train_dataloader.dataset.targets == []
    others = [each for each in ('cityscapes', 'mapillary', 'idd') if each != source]
    assert names(config.val_dataloader.dataset.domains) == others
    assert config.model.decode_head.num_classes == num_classes


def test_no_config_is_missing_or_untested():
    counts = {stage: len(list((ROOT / stage).glob('*.py'))) for stage in ('warmup', 'mlcl')}
    assert counts == dict(warmup=17, mlcl=17)
    assert len(list((ROOT / 'source_only').glob('*.py'))) == 8


@pytest.mark.parametrize(
    'name',
    [
        'warmup/g2cmi_19',
        'mlcl/g2cmi_19',
        'source_only/gta5',
        'mlcl/g2ci_vgg',
        'mlcl/g2ci_segformer',
    ],
)
def test_the_model_builds(name):
    config = Config.fromfile(ROOT / f'{name}.py')
    config.model.backbone.init_cfg = None
    model = MODELS.build(config.model)
    assert model.num_classes == config.num_classes


@pytest.mark.parametrize('stage', ['warmup', 'mlcl'])
def test_the_papers_schedule(stage):
    config = Config.fromfile(ROOT / stage / 'g2ci.py')
    assert config.train_cfg.max_iters == config.param_scheduler.end - 1 == 60000
    assert config.train_cfg.val_interval == 1000
    assert config.train_dataloader.batch_size == config.auto_scale_lr.base_batch_size == 4
    assert config.default_hooks.checkpoint.save_best == 'mIoU'
    network = config.optim_wrapper.get('network', config.optim_wrapper)
    assert network.optimizer == dict(type='SGD', lr=2.5e-4, momentum=0.9, weight_decay=1e-4)
    assert config.optim_wrapper.paramwise_cfg.backbone_rates == 'nested'


def test_one_variable_moves_the_data(monkeypatch):
    assert Config.fromfile(ROOT / 'mlcl/g2ci.py').gta5.data_root == 'data/GTA5'
    monkeypatch.setenv('MLCL_DATA_ROOT', '/elsewhere')
    config = Config.fromfile(ROOT / 'mlcl/g2ci.py')
    train = config.train_dataloader.dataset
    assert train.source.data_root == '/elsewhere/GTA5'
    assert [each.data_root for each in train.targets] == [
        '/elsewhere/Cityscapes',
        '/elsewhere/IDD_Segmentation',
    ]
