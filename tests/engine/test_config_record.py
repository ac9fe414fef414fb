"""Configs as data."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config

from mlcl_mmseg.engine.config_record import decode, encode, is_registered, read_config, write_config

CONFIGS = Path(__file__).parents[2] / 'configs'
KEYS = st.text().filter(lambda key: not key.startswith('__'))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda values: (
        st.lists(values)
        | st.lists(values).map(tuple)
        | st.dictionaries(KEYS, values)
        | st.dictionaries(st.integers(), values)
    ),
)


@given(VALUES)
def test_values_are_read_as_they_were_written(value):
    assert decode(json.loads(json.dumps(encode(value)))) == value


@pytest.mark.parametrize('name', ['mlcl/g2cmi_19.py', 'warmup/g2ci.py', 'demo/source_only.py'])
def test_a_shipped_config_is_read_as_it_was_written(tmp_path, name):
    config = Config.fromfile(CONFIGS / name)
    write_config(config, tmp_path / 'config.json')
    assert read_config(tmp_path / 'config.json').to_dict() == config.to_dict()


def test_classes_and_functions_become_names():
    assert decode(encode(dict(type=Path, init=len, where=Path('x')))) == dict(
        type='Path', init='len', where='x'
    )


def test_what_is_registered():
    own = 'mlcl_mmseg.datasets.folder.FolderDomain'
    names = ['MCLSegmentor', 'mmseg.FCNHead', 'Resize', 'GTA5Domain', 'mmpretrain.ResNet', own]
    assert all(map(is_registered, names))
    others = ['os.system', 'system', 'mmseg.system', '', None, 'os.Resize', 'mmpretrain.get_model']
    assert not any(map(is_registered, [*others, 'mmdet.ResNet', 'mmpretrain.apis.ResNet']))
