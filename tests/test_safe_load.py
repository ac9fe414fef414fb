"""Tensors and numbers are read; whatever could run is refused before it does."""

import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcl_mmseg.errors import InputError, MissingFileError
from mlcl_mmseg.safe_load import read_checkpoint


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


CONTENT = {
    'state': OrderedDict(weight=torch.arange(6.0).view(2, 3), half=torch.ones(2).bfloat16()),
    'parameter': torch.nn.Parameter(torch.ones(2)),
    'figures': [np.float64(73.26), np.float32(0.5), np.int64(3), 1, 'text', None, True],
}


@pytest.mark.parametrize('zipped', [True, False])
def test_tensors_and_numbers(tmp_path, zipped):
    path = tmp_path / 'x.pkl'
    torch.save(CONTENT, path, _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(path)
    assert found['figures'] == CONTENT['figures']
    assert torch.equal(found['parameter'], CONTENT['parameter'])
    assert list(found['state']) == ['weight', 'half']
    for name, value in CONTENT['state'].items():
        assert torch.equal(found['state'][name], value)
        assert found['state'][name].dtype == value.dtype


@pytest.mark.parametrize('zipped', [True, False])
def test_code_does_not_run(tmp_path, zipped):
    path = tmp_path / 'x.pkl'
    content = {'state': Attack(str(tmp_path / 'attacked'))}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match=r'x\.pkl holds (posix|nt)\.mkdir, which is neither'):
        read_checkpoint(path)
    assert not (tmp_path / 'attacked').exists()


def test_a_plain_pickle(tmp_path):
    path = tmp_path / 'x.pkl'
    path.write_bytes(pickle.dumps(Attack(str(tmp_path / 'attacked'))))
    with pytest.raises(InputError, match=r'x\.pkl'):
        read_checkpoint(path)
    assert not (tmp_path / 'attacked').exists()


def test_compiled_modules_are_refused(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / 'x.pkl')
    with pytest.raises(InputError, match=r'x\.pkl holds TorchScript, which is neither'):
        read_checkpoint(tmp_path / 'x.pkl')


def test_a_missing_file(tmp_path):
    with pytest.raises(MissingFileError, match='none.pkl does not exist: correct the path'):
        read_checkpoint(tmp_path / 'none.pkl')


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_damaged_files(data, tmp_path_factory):
    """Cut or changed anywhere: a sentence, or the content with other numbers in it."""
    path = tmp_path_factory.mktemp('damaged') / 'x.pkl'
    torch.save(CONTENT, path, _use_new_zipfile_serialization=data.draw(st.booleans()))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:place]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        found = read_checkpoint(path)
    except InputError as error:
        assert 'x.pkl' in str(error)
    else:
        assert isinstance(found, dict)
