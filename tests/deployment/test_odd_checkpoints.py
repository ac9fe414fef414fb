"""Checkpoints of odd content predict if it is enough, or are refused in a sentence."""

import pytest
import torch

from mlcl_mmseg.checkpoint_record import CheckpointRecord
from mlcl_mmseg.deployment.segmentor import classes_of, load_segmentor
from mlcl_mmseg.deployment.strip import strip
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.labels import label_space

from .conftest import SMALL_MLCL

SEVEN = label_space(7)
NAMES = list('abcdefg')


@pytest.fixture(scope='module')
def weights(checkpoint):
    return torch.load(checkpoint, weights_only=True)['state_dict']


@pytest.mark.parametrize(
    'wrap',
    [
        lambda weights: weights,
        lambda weights: dict(state_dict=weights),
        lambda weights: dict(state_dict=weights, meta=None),
        lambda weights: dict(state_dict=weights, meta=dict(dataset_meta=None)),
        lambda weights: dict(state_dict={f'module.{name}': each for name, each in weights.items()}),
    ],
)
def test_weights_alone_are_enough(weights, config, tmp_path, wrap):
    torch.save(wrap(weights), tmp_path / 'x.pth')
    model = load_segmentor(config, str(tmp_path / 'x.pth'))
    assert model.dataset_meta == SEVEN._asdict()
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name])
    stripped = strip(wrap(weights), 'x.pth')['state_dict']
    assert {name.split('.')[0] for name in stripped} == {'backbone', 'decode_head'}


@pytest.mark.parametrize(
    ('stored', 'classes', 'palette'),
    [
        ({}, SEVEN.classes, SEVEN.palette),
        (dict(classes=NAMES), tuple(NAMES), SEVEN.palette),
        (dict(classes=NAMES, palette=None), tuple(NAMES), SEVEN.palette),
        (dict(palette=[[1, 2, 3]] * 7), SEVEN.classes, ((1, 2, 3),) * 7),
    ],
)
def test_what_is_not_said_is_that_of_the_class_set(stored, classes, palette):
    record = CheckpointRecord({}, dict(dataset_meta=stored))
    assert classes_of(record, 7, 'x.pth') == (classes, palette)


@pytest.mark.parametrize(
    ('stored', 'num_classes', 'message'),
    [
        (dict(classes=[1] * 7), 7, r'has a wrong dataset_meta \(classes.0: .*string'),
        (dict(classes='abcdefg'), 7, r'has a wrong dataset_meta \(classes: .*list'),
        (dict(classes=torch.ones(7)), 7, r'has a wrong dataset_meta \(classes'),
        (dict(palette=[[0, 0, 256]] * 7), 7, r'has a wrong dataset_meta \(palette.0.2: .*255'),
        (dict(palette=[[0, 0]] * 7), 7, r'has a wrong dataset_meta \(palette.0'),
        (dict(palette='random'), 7, r'has a wrong dataset_meta \(palette'),
        (dict(palette=[[0, 0, 0]] * 6), 7, 'has 6 entries in dataset_meta.palette, but the model'),
        (dict(classes=NAMES[:5]), 7, 'has 5 entries in dataset_meta.classes, but the model has 7'),
        (dict(classes=['a'] * 5), 5, 'does not say the names and colours of its 5 classes'),
    ],
)
def test_what_does_not_fit(stored, num_classes, message):
    record = CheckpointRecord({}, dict(dataset_meta=stored))
    with pytest.raises(InputError, match=f'x.pth {message}'):
        classes_of(record, num_classes, 'x.pth')


def changed(weights, name, change):
    return {**weights, name: change(weights[name].clone())}


@pytest.mark.parametrize('value', [torch.nan, torch.inf])
def test_weights_that_are_not_finite(weights, config, tmp_path, value):
    name = 'decode_head.conv_seg.weight'
    content = changed(weights, name, lambda each: each * 0 + value)
    torch.save(content, tmp_path / 'x.pth')
    message = f'x.pth has .* values in {name} that are not finite: use an earlier'
    with pytest.raises(InputError, match=message):
        load_segmentor(config, str(tmp_path / 'x.pth'))
    with pytest.raises(InputError, match=message):
        strip(content, 'x.pth')


def test_buffers_may_be_infinite_but_not_nan(weights, config, tmp_path):
    name = next(name for name in weights if name.endswith('running_mean'))
    content = changed(weights, name, lambda each: each - torch.inf)
    torch.save(content, tmp_path / 'x.pth')
    load_segmentor(config, str(tmp_path / 'x.pth'))
    strip(content, 'x.pth')
    with pytest.raises(InputError, match=f'x.pth has .* values in {name} that'):
        strip(changed(weights, name, lambda each: each * torch.nan), 'x.pth')


@pytest.mark.parametrize('tool', ['predict.py', 'export.py', 'model_converters/strip.py'])
@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (torch.ones(2), 'x.pth has no state_dict but is a Tensor'),
        (dict(state_dict={1: torch.ones(1)}, meta={}), 'x.pth has a tensor whose name is 1'),
        (dict(state_dict={'backbone.x': torch.ones(1)}, meta=[1]), 'x.pth has meta of type list'),
        (
            dict(state_dict={'backbone.x': torch.ones(1)}, meta={}),
            'x.pth (does not fit|has no dec)',
        ),
    ],
)
def test_the_tools(run_tool, images, tmp_path, tool, content, message):
    torch.save(content, tmp_path / 'x.pth')
    arguments = {
        'predict.py': [SMALL_MLCL, tmp_path / 'x.pth', images, '--out', tmp_path / 'o'],
        'export.py': [
            *(SMALL_MLCL, tmp_path / 'x.pth', '--format', 'torch', '--out', tmp_path / 'o.pt2'),
        ],
        'model_converters/strip.py': [tmp_path / 'x.pth', tmp_path / 'o.pth'],
    }[tool]
    with pytest.raises(InputError, match=message):
        run_tool(tool, *arguments)
    assert not (tmp_path / 'o.pth').exists() and not (tmp_path / 'o.pt2').exists()


def test_parts_that_are_not_names():
    weights = {'backbone.x': torch.ones(1)}
    with pytest.raises(InputError, match='x.pth has meta.deployed_parts that are not names'):
        strip(dict(state_dict=weights, meta=dict(deployed_parts=[1])), 'x.pth')


def test_another_model_names_the_file(tmp_path, config):
    torch.save({'backbone.x': torch.ones(1)}, tmp_path / 'x.pth')
    with pytest.raises(InputError, match=r'x\.pth does not fit .*small_mlcl\.py: The checkpoint'):
        load_segmentor(config, str(tmp_path / 'x.pth'))
