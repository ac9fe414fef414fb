"""Wrong types and mistyped keys are refused with their dotted key; all that is shipped passes."""

import inspect
import typing
from collections.abc import Sequence
from pathlib import Path

import mmseg
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from mmengine.hooks import LoggerHook
from mmengine.registry import Registry
from mmseg import registry

from mlcl_mmseg.config_check import check_config, is_ours
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.type_hints import matches

ROOT = Path(__file__).parents[1]
SHIPPED = [*(ROOT / 'configs').rglob('*.py'), *(ROOT / 'tests/configs').glob('*.py')]
MMSEG = Path(mmseg.__file__).parent / '.mim/configs'
VALIDATION = ('val_dataloader', 'val_cfg', 'val_evaluator')
text = st.text()
scalars = st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), text)


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
            "train_dataloader.batch_size is 'four', but DataLoader takes an int or None: "
            'correct the config or --cfg-options.',
        ),
        (
            {'train_cfg.max_iters': '100'},
            "train_cfg.max_iters is '100', but StreamTrainLoop takes an int: ",
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
        ({'model.gamma': 'one'}, "model.gamma is 'one', but MCLSegmentor takes a float: "),
        ({'model.gamma': True}, 'model.gamma is True, but MCLSegmentor takes a float: '),
        ({'model.gamma': {'value': 1}}, 'but MCLSegmentor takes a float: '),
        ({'model.targets': 'idd'}, "model.targets is 'idd', but MCLSegmentor takes a list[str]: "),
        ({'model.cross_sample_mask': 1}, 'model.cross_sample_mask is 1, but MCLSegmentor takes a '),
        (
            {'model.decode_head.num_classes': 7.0},
            'model.decode_head.num_classes is 7.0, but DeepLabV2Head takes an int: ',
        ),
        pytest.param(
            {'optim_wrapper.optimizer.lr': '1e-3'},
            "optim_wrapper.optimizer.lr is '1e-3', but SGD takes a float or a torch.Tensor: ",
            marks=pytest.mark.skipif(
                'lr' not in typing.get_type_hints(torch.optim.SGD.__init__),
                reason='PyTorch 2.1 does not say what SGD takes',
            ),
        ),
        ({'param_scheduler.power': 'high'}, "param_scheduler.power is 'high', but PolyLR takes a "),
        (
            {'default_hooks.checkpoint.interval': 'often'},
            "checkpoint.interval is 'often', but DurableCheckpointHook takes an int: ",
        ),
        (
            {'train_dataloader.dataset.targets.0.num_classes': '7'},
            "train_dataloader.dataset.targets.0.num_classes is '7', but CityscapesDomain takes an ",
        ),
        (
            {'train_dataloader.dataset.target_pipeline.3.crop_size': [320]},
            'target_pipeline.3.crop_size is [320], but WeakAugmentation takes a tuple[int, int]: ',
        ),
        ({'custom_hooks.0.interval': None}, 'custom_hooks.0.interval is None, but PseudoLabelHook'),
        ({'custom_hooks.0.pipeline': 'test'}, 'but PseudoLabelHook takes a Sequence[dict]: '),
        ({'val_dataloader.num_workers': [4]}, 'val_dataloader.num_workers is [4], but DataLoader '),
        ({'randomness.seed': 'zero'}, "randomness.seed is 'zero', but set_random_seed takes an "),
        ({'resume': 'yes'}, "resume is 'yes', but Runner takes a bool: "),
        (
            {'train_dataloader.batch_size': 4.5},
            'train_dataloader.batch_size is 4.5, but DataLoader takes an int or None: ',
        ),
        ({'randomness.seed': 1.5}, 'randomness.seed is 1.5, but set_random_seed takes an int or '),
        ({'model': 3}, 'model is 3, but Runner takes a '),
        ({'train_cfg': 60000}, 'train_cfg is 60000, but Runner takes a '),
        ({'custom_hooks': 3}, 'custom_hooks is 3, but Runner takes a '),
        (
            {'custom_hooks': ['PseudoLabelHook']},
            "custom_hooks is ['PseudoLabelHook'], but Runner t",
        ),
        ({'default_hooks.checkpoint': False}, 'but Runner takes a '),
        ({'val_dataloader': False}, 'val_dataloader is False, but Runner takes a '),
        ({'work_dir': 3}, 'work_dir is 3, but Runner takes a str: '),
        ({'warmup': 3}, 'warmup is 3, but it names a config: give its file, or None to train no s'),
        (
            {'train_dataloader.dataset.source': 'gta5'},
            "train_dataloader.dataset.source is 'gta5', but MultiDomainDataset takes a dict: ",
        ),
        (
            {'train_dataloader.dataset.source.label_map': {'road': 0}},
            "source.label_map is {'road': 0}, but GTA5Domain takes a dict[int, int] or None: ",
        ),
        ({'model.decode_head': 'DeepLabV2Head'}, "'DeepLabV2Head', but MCLSegmentor takes a dict"),
        (
            {'val_dataloader': None},
            'val_dataloader is None, but val_cfg is not: give all or none of val_dataloader, val',
        ),
        ({'optim_wrapper': None}, 'optim_wrapper is None, but train_dataloader is not: give all'),
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
        (
            {'default_hooks.chekpoint': None},
            'default_hooks.chekpoint is unknown, did you mean chec',
        ),
        (
            {'env_cfg.cudnn_benchmrk': True},
            'env_cfg.cudnn_benchmrk is unknown, did you mean cudnn_',
        ),
        ({'env_cfg.mp_cfg.mp_start_metod': 'fork'}, 'did you mean mp_start_method?'),
        ({'auto_scale_lr.enabel': True}, 'auto_scale_lr.enabel is unknown, did you mean enable?'),
        (
            {'optim_wrapper.paramwise_cfg.lr_multi': {}},
            'lr_multi is unknown, did you mean lr_mult?',
        ),
        (
            {'optim_wrapper.clip_grad.max_nrm': 1},
            'clip_grad.max_nrm is unknown, did you mean max_n',
        ),
        ({'model.test_cfg.strid': 1}, 'model.test_cfg.strid is unknown, did you mean stride?'),
        (
            {'model.style_transfer.typ': 'X'},
            'model.style_transfer.typ is unknown, did you mean type?',
        ),
        (
            {'model.backbone.norm_cfg': dict(type='BN', requires_gradd=0)},
            'did you mean requires_grad',
        ),
        (
            {'model_wrapper_cfg.brodcast_buffers': 0},
            'brodcast_buffers is no parameter of MultiTarge',
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
        ({'train_dataloader.batch_size': 0}, 'dataloader.batch_size is 0: make it 1 or more.'),
        ({'val_dataloader.num_workers': -1}, 'num_workers is -1: make it 0 or more.'),
        ({'custom_hooks.0.batch_size': 0}, 'custom_hooks.0.batch_size is 0: make it 1 or more.'),
        (
            {'val_evaluator.colour': 'red'},
            'val_evaluator.colour is no parameter of DomainIoUMetric, leave it out.',
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


@settings(deadline=None)
@given(scalars)
def test_a_scalar_fits_its_own_type_and_unions_of_it(value):
    for hint in (type(value), type(value) | list[str], typing.Optional[type(value)]):  # noqa: UP045
        assert matches(value, hint)
        assert matches(value, hint, strict=False)


@settings(deadline=None)
@given(scalars, st.sampled_from([Path, typing.Any, inspect.Parameter.empty, type[int]]))
def test_every_value_fits_a_hint_that_is_not_judged(value, hint):
    assert matches(value, hint)
    assert matches(value, typing.Union[int, hint])  # noqa: UP007


@settings(deadline=None)
@given(text, st.sampled_from([int, float, bool, float | None, tuple[int, int], int | list[int]]))
def test_text_is_no_number(value, hint):
    assert not matches(value, hint)
    assert not matches(value, hint, strict=False)


@settings(deadline=None)
@given(st.lists(scalars))
def test_a_list_fits_as_its_tuple_does(value):
    hints = (list[int], tuple[int, int], tuple[int, ...], Sequence[float | None], tuple, list)
    for hint in hints:
        assert matches(value, hint) == matches(tuple(value), hint)
    assert matches(value, tuple[int, ...]) == all(type(each) is int for each in value)
    assert matches(value, tuple[int, int]) == (matches(value, list[int]) and len(value) == 2)


@settings(deadline=None)
@given(st.dictionaries(scalars, scalars), st.sampled_from([int, str, str | None]))
def test_a_dict_fits_by_its_keys_and_values(value, hint):
    assert matches(value, dict) and matches(value, dict[str, int] | dict)
    expected = all(matches(key, str) and matches(each, hint) for key, each in value.items())
    assert matches(value, dict[str, hint]) == expected


@settings(deadline=None)
@given(st.one_of(st.integers(), st.floats(), st.booleans(), text))
def test_what_is_built_from_a_dict_is_no_scalar(value):
    for hint in (dict, dict | Registry, typing.Optional[dict[str, dict | Registry]]):  # noqa: UP045
        assert not matches(value, hint)


def test_only_a_hint_of_another_package_is_loose():
    assert matches(0.5, float) and matches(1, float) and not matches(0.5, int)
    assert matches(0.5, int, strict=False) and matches(None, int, strict=False)
    assert not matches(None, int) and not matches(True, int, strict=False)
