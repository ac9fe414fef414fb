"""Wrong types and mistyped keys are refused with their dotted key; all that is shipped passes."""

import inspect
import typing
from collections.abc import Sequence
from pathlib import Path

import mmseg
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import LoggerHook
from mmengine.registry import Registry
from mmseg import registry

from mlcl_mmseg.config_check import check_config, fits, is_ours, is_slip
from mlcl_mmseg.errors import InputError

ROOT = Path(__file__).parents[1]
SHIPPED = [*(ROOT / 'configs').rglob('*.py'), *(ROOT / 'tests/configs').glob('*.py')]
MMSEG = Path(mmseg.__file__).parent / '.mim/configs'
VALIDATION = ('val_dataloader', 'val_cfg', 'val_evaluator')


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_shipped_configs_pass(path):
    check_config(Config.fromfile(path))


@pytest.mark.slow
def test_configs_of_mmsegmentation_pass():
    # every tenth, as all 771 take a minute; all pass
    for path in sorted(MMSEG.rglob('*.py'))[::10]:
        check_config(Config.fromfile(path, import_custom_modules=False))


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        (
            {'train_dataloader.batch_size': 'four'},
            "train_dataloader.batch_size is 'four', but DataLoader takes ",
        ),
        (
            {'train_cfg.max_iters': '100'},
            "train_cfg.max_iters is '100', but StreamTrainLoop takes int: "
            'correct the config or --cfg-options.',
        ),
        (
            {'train_cfg.max_iter': 10},
            'train_cfg.max_iter is no parameter of StreamTrainLoop, did you mean max_iters?',
        ),
        (
            {'default_hooks.checkpoint.intervall': 10},
            'intervall is no parameter of DurableCheckpointHook, did you mean interval?',
        ),
        ({'train_dataloader.batchsize': 2}, 'batchsize is no parameter of DataLoader, did you mea'),
        ({'randomness.sed': 2}, 'randomness.sed is no parameter of set_random_seed, did you mean '),
        ({'optim_wrapper.optimizer.lrr': 1}, 'optim_wrapper.optimizer.lrr is no parameter of SGD,'),
        ({'model.type': 'MCLSegmentr'}, "'MCLSegmentr', which is unknown, did you mean MCLSegment"),
        ({'train_dataloader.dataset.source.type': 'GTA5Doman'}, 'did you mean GTA5Domain?'),
        ({'model.gamma': 'one'}, "model.gamma is 'one', but MCLSegmentor takes float: "),
        ({'model.gamma': True}, 'model.gamma is True, but MCLSegmentor takes float: '),
        ({'model.gamma': {'value': 1}}, 'but MCLSegmentor takes float: '),
        ({'model.targets': 'idd'}, "model.targets is 'idd', but MCLSegmentor takes list[str]: "),
        ({'model.cross_sample_mask': 1}, 'model.cross_sample_mask is 1, but MCLSegmentor takes '),
        (
            {'model.decode_head.num_classes': 7.0},
            'model.decode_head.num_classes is 7.0, but DeepLabV2Head takes int: ',
        ),
        pytest.param(
            {'optim_wrapper.optimizer.lr': '1e-3'},
            "optim_wrapper.optimizer.lr is '1e-3', but SGD takes float |",
            marks=pytest.mark.skipif(
                'lr' not in typing.get_type_hints(torch.optim.SGD.__init__),
                reason='PyTorch 2.1 does not say what SGD takes',
            ),
        ),
        (
            {'param_scheduler.power': 'high'},
            "param_scheduler.power is 'high', but PolyLR takes fl",
        ),
        (
            {'default_hooks.checkpoint.interval': 'often'},
            "checkpoint.interval is 'often', but DurableCheckpointHook takes int | ",
        ),
        (
            {'train_dataloader.dataset.targets.0.num_classes': '7'},
            "train_dataloader.dataset.targets.0.num_classes is '7', but CityscapesDomain takes int",
        ),
        (
            {'train_dataloader.dataset.target_pipeline.3.crop_size': [320]},
            'target_pipeline.3.crop_size is [320], but WeakAugmentation takes tuple[int, int]: ',
        ),
        ({'custom_hooks.0.interval': None}, 'custom_hooks.0.interval is None, but PseudoLabelHook'),
        (
            {'custom_hooks.0.pipeline': 'test'},
            'but PseudoLabelHook takes collections.abc.Se',
        ),
        ({'val_dataloader.num_workers': [4]}, 'val_dataloader.num_workers is [4], but DataLoader '),
        (
            {'randomness.seed': 'zero'},
            "randomness.seed is 'zero', but set_random_seed takes ",
        ),
        ({'resume': 'yes'}, "resume is 'yes', but Runner takes bool: "),
        (
            {'train_dataloader.batch_size': 4.5},
            'train_dataloader.batch_size is 4.5, but DataLoader takes ',
        ),
        (
            {'randomness.seed': 1.5},
            'randomness.seed is 1.5, but set_random_seed takes ',
        ),
        ({'model': 3}, 'model is 3, but Runner takes '),
        ({'train_cfg': 60000}, 'train_cfg is 60000, but Runner takes '),
        ({'custom_hooks': 3}, 'custom_hooks is 3, but Runner takes '),
        (
            {'custom_hooks': ['PseudoLabelHook']},
            "custom_hooks is ['PseudoLabelHook'], but Runner t",
        ),
        ({'default_hooks.checkpoint': False}, 'but Runner takes '),
        ({'val_dataloader': False}, 'val_dataloader is False, but Runner takes '),
        ({'work_dir': 3}, 'work_dir is 3, but Runner takes str: '),
        (
            {'warmup': 3},
            'warmup is 3: set it to the file of the config of the previous stage, or t',
        ),
        (
            {'train_dataloader.dataset.source': 'gta5'},
            "train_dataloader.dataset.source is 'gta5', but MultiDomainDataset takes dict: ",
        ),
        (
            {'train_dataloader.dataset.source.label_map': {'road': 0}},
            "source.label_map is {'road': 0}, but GTA5Domain takes dict[int, int] | None: ",
        ),
        ({'model.decode_head': 'DeepLabV2Head'}, "'DeepLabV2Head', but MCLSegmentor takes dict"),
        (
            {'val_dataloader': None},
            'val_dataloader is None, but val_cfg is not: set all or none of val_dataloader, val',
        ),
        ({'optim_wrapper': None}, 'optim_wrapper is None, but train_dataloader is not: set all'),
        (
            {'train_dataloader.bach_size': 2},
            'bach_size is no parameter of DataLoader, did you mean b',
        ),
        (
            {'optim_wrapper.optimizer.momentm': 0},
            'momentm is no parameter of SGD, did you mean mom',
        ),
        (
            {'custom_hooks.0.intervall': 1},
            'intervall is no parameter of PseudoLabelHook, did you m',
        ),
        ({'train_dataloder': {}}, 'train_dataloder is no setting, did you mean train_dataloader?'),
        ({'val_evaluators': []}, 'val_evaluators is no setting, did you mean val_evaluator?'),
        ({'custom_hooks.0.type': 'PseudoLabels'}, "'PseudoLabels', which is unknown, did you mean"),
        (
            {'test_pipeline.2.scal': 1},
            'test_pipeline.2.scal is no parameter of Resize, did you mean scale?',
        ),
        ({'test_pipeline.0.type': 'LoadImageFromFle'}, 'did you mean LoadImageFromFile?'),
        ({'model.gama': 1.0}, 'model.gama is no parameter of MCLSegmentor, did you mean gamma?'),
        (
            {'val_evaluator.colour': 'red'},
            'val_evaluator.colour is no parameter of DomainIoUMetric, remove it.',
        ),
    ],
)
def test_refused(options, sentence):
    config = Config.fromfile(ROOT / 'configs/mlcl/g2ci.py')
    config.merge_from_dict(options)
    with pytest.raises(InputError) as error:
        check_config(config)
    assert sentence in str(error.value)


@pytest.mark.parametrize('name', ['train_dataloader_large', 'my_targets', 'stage', 'model_2'])
def test_a_config_may_have_variables(name):
    check_config({name: dict(colour='red')})


def test_a_class_is_a_type_too():
    with pytest.raises(
        InputError, match='hook.intervall is no parameter of LoggerHook, did you me'
    ):
        check_config(dict(default_hooks=dict(hook=dict(type=LoggerHook, intervall=1))))


@pytest.mark.parametrize(
    'part',
    [
        dict(type='WeakAugmentation', crop_size=[320, 160], scale_range=[1, 1.5]),
        dict(type='MCLSegmentor', gamma=2, targets=('idd',), pretrained=None),
        dict(type='CheckpointHook', save_best=['mIoU'], greater_keys='mIoU', max_keep_ckpts=2),
        dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
        dict(type='OptimWrapper', clip_grad=None, accumulative_counts=1),
        dict(type='OptimWrapper', clip_grad=dict(max_norm=0.01, norm_type=2)),
        dict(type='AmpOptimWrapper', loss_scale='dynamic'),
        dict(type='AmpOptimWrapper', loss_scale=512.0, dtype=None),
        dict(type='AdamW', lr=6e-5, betas=[0.9, 0.999], weight_decay=0),
        dict(type='PolyLR', eta_min=0, power=1, begin=1500, end=1e4, by_epoch=False),
        dict(type='PolyLRRatio', eta_min_ratio=0.03),
        dict(type='SegDataPreProcessor', mean=None, bgr_to_rgb=None, size=[512, 512]),
        dict(type='PackSegInputs', meta_keys=['img_path']),
        dict(type='Resize', scale=[640, 320], keep_ratio=False),
        dict(type='OfAnotherPackage', interval='often'),
    ],
)
def test_accepted(part):
    check_config(dict(parts=[part]))


def test_a_default_hook_may_be_left_out():
    config = Config.fromfile(ROOT / 'configs/mlcl/g2ci.py')
    config.default_hooks.visualization = None
    check_config(config)


def test_a_training_may_do_without_validation():
    check_config({**Config.fromfile(ROOT / 'configs/mlcl/g2ci.py'), **dict.fromkeys(VALIDATION)})


def test_every_parameter_of_ours_has_a_hint():
    ours = {
        module
        for each in vars(registry).values()
        if isinstance(each, Registry)
        for module in each.module_dict.values()
        if is_ours(module) and '__init__' in vars(module)
    }
    assert ours
    for module in ours:
        for name, parameter in inspect.signature(module).parameters.items():
            assert name == 'kwargs' or parameter.annotation is not parameter.empty, (module, name)


@pytest.mark.parametrize(
    ('value', 'hint', 'expected'),
    [
        (1, float, True),
        (float('inf'), float, True),
        (True, int, False),
        (True, float, False),
        (1, bool, False),
        (7.0, int, False),
        ('1', int, False),
        (None, int, False),
        ((1, 2), list[int], True),
        ([1, 2], tuple[int, int], True),
        ([1], tuple[int, int], False),
        ([1, 2.5], tuple[int, ...], False),
        ('text', Sequence[str], False),
        ({0: 1}, dict[int, int], True),
        ({'road': 1}, dict[int, int], False),
        # which may be built from a dict
        ({}, dict | torch.nn.Module, True),
        (dict(type='Conv2d'), torch.nn.Module, True),
        ('Conv2d', dict | torch.nn.Module, False),
    ],
)
def test_values_and_hints(value, hint, expected):
    assert fits(value, hint) is expected


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('modl', True),
        ('modell', True),
        ('nodel', True),
        ('mdoel', True),
        ('model', True),
        ('model2', False),
        ('modules', False),
        ('mode_', True),
        ('dome', False),
    ],
)
def test_a_slip_is_one_letter(name, expected):
    assert is_slip(name, 'model') is expected
