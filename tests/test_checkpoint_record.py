"""Whatever a checkpoint contains: named tensors, or a sentence that names the file."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from mmengine.runner import CheckpointLoader, load_checkpoint
from mmseg.registry import MODELS

from mlcl_mmseg.checkpoint_record import check_finite, probable_buffers, record_of
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.safe_load import use_safe_loading

from .tools.calling import CONFIGS

ONE = torch.ones(2, 3)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(
        [ONE, ONE.to_sparse(), ONE.to(torch.complex64), ONE.to('meta'), torch.tensor(1), ONE.half()]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)
CONTENTS = VALUES | st.fixed_dictionaries(
    {}, optional={'state_dict': VALUES, 'meta': VALUES, 'message_hub': VALUES, 'x': VALUES}
)


@settings(max_examples=200, deadline=None)
@given(CONTENTS)
def test_any_content(content):
    try:
        record = record_of(content, 'x.pth')
    except InputError as error:
        assert str(error).startswith('x.pth has ')
    else:
        assert all(isinstance(name, str) for name in record.state_dict)
        assert all(torch.isfinite(each).numel() for each in record.state_dict.values())
        assert isinstance(record.dataset_meta, dict)


@pytest.mark.parametrize(
    'content',
    [
        {'a.weight': ONE},
        {'state_dict': {'a.weight': ONE}},
        {'state_dict': {'module.a.weight': ONE}, 'meta': None},
        {'state_dict': {'a.weight': ONE}, 'meta': {'dataset_meta': None, 'iter': 3}},
    ],
)
def test_harmless_forms(content):
    record = record_of(content, 'x.pth')
    assert list(record.state_dict) == ['a.weight']
    assert record.dataset_meta == {}


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (ONE, 'has no state_dict but is a Tensor: use a checkpoint of tools/train.py'),
        ([ONE], 'has no state_dict but is a list'),
        ({}, 'has no state_dict: use'),
        ({'meta': {}}, 'has no state_dict: use'),
        ({'state_dict': None}, 'has no state_dict: use'),
        ({'state_dict': {1: ONE}}, 'has a tensor whose name is 1, not a text'),
        ({'state_dict': {'a': 'b'}}, r'has no dense tensor of numbers as a \(str\)'),
        (
            {'a': ONE, 'b': ONE.to_sparse()},
            r'has no dense .* as b \(torch.sparse_coo of torch.float32',
        ),
        ({'state_dict': {'a': ONE}, 'meta': [1]}, 'has meta of type list, not a dictionary'),
        (
            {'state_dict': {'a': ONE}, 'meta': {'dataset_meta': [1]}},
            'has dataset_meta of type list, not a dictionary',
        ),
    ],
)
def test_other_forms(content, message):
    with pytest.raises(InputError, match=f'x.pth {message}'):
        record_of(content, 'x.pth')


def test_versions_of_modules_are_kept():
    """By which modules convert tensors of earlier versions; in another form they are ignored."""
    state_dict = torch.nn.BatchNorm2d(2).state_dict()
    assert record_of(state_dict, 'x.pth').state_dict._metadata[''] == dict(version=2)
    for wrong in ([1], {'': 3}, {'': {'version': 'x'}}):
        state_dict._metadata = wrong
        assert record_of(state_dict, 'x.pth').state_dict._metadata == {}


def test_values_that_are_not_finite():
    weights = {'a.weight': ONE, 'mask': ONE.log() - torch.inf, 'count': torch.tensor(3)}
    check_finite(weights, {'mask'}, 'x.pth')
    assert probable_buffers(weights) == {'mask', 'count'}
    with pytest.raises(InputError, match='x.pth has 6 values in mask that are not finite: use an'):
        check_finite(weights, (), 'x.pth')
    weights['mask'][0, 0] = torch.nan
    with pytest.raises(InputError, match='x.pth has 1 values in mask'):
        check_finite(weights, {'mask'}, 'x.pth')
    weights['a.weight'] = ONE / 0
    with pytest.raises(InputError, match=r'x.pth has 6 values in a\.weight'):
        check_finite(weights, {'mask'}, 'x.pth')


@pytest.fixture
def safe_loading(monkeypatch):
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    use_safe_loading()


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (ONE, 'x.pth has no state_dict but is a Tensor'),
        (dict(state_dict={1: ONE}, meta={}), 'x.pth has a tensor whose name is 1'),
        ({1: {}}, 'x.pth has no state_dict: use'),
        (dict(state_dict={'a': ONE}, meta=[1]), 'x.pth has meta of type list'),
        (dict(state_dict={'backbone.x': ONE}, meta=None), 'The checkpoint has no'),
        (dict(state_dict={'decode_head.conv_seg.weight': torch.tensor(1)}), 'has 0 classes'),
        (dict(model={'a': ONE}), 'The checkpoint has no'),
    ],
)
def test_what_mmengine_loads(tmp_path, safe_loading, content, message):
    """As load_from and tools/test.py do."""
    torch.save(content, tmp_path / 'x.pth')
    model = MODELS.build(Config.fromfile(CONFIGS / 'small_source_only.py').model)
    with pytest.raises(InputError, match=message):
        load_checkpoint(model, str(tmp_path / 'x.pth'))


def test_bare_weights_are_loaded_by_mmengine(tmp_path, safe_loading):
    model = MODELS.build(Config.fromfile(CONFIGS / 'small_source_only.py').model)
    torch.save(model.state_dict(), tmp_path / 'x.pth')
    other = MODELS.build(Config.fromfile(CONFIGS / 'small_source_only.py').model)
    assert load_checkpoint(other, str(tmp_path / 'x.pth'))['meta'] == {}
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)
