"""Tensors and numbers are read; whatever could run is refused before it does."""

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.runner import CheckpointLoader

from mlcl_mmseg.errors import InputError, MissingFileError
from mlcl_mmseg.safe_load import read_checkpoint, use_safe_loading

needs_safe_globals = pytest.mark.skipif(
    not hasattr(torch.serialization, 'safe_globals'), reason='PyTorch 2.1 refuses NumPy scalars'
)


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


class Script(torch.nn.Module):
    """Writes a file when it is loaded as TorchScript."""

    def __init__(self, path: str):
        super().__init__()
        self.path = path
        self.weight = torch.ones(1)

    @torch.jit.export
    def __getstate__(self):
        return self.weight, self.path, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, str, bool]):
        self.weight = torch.from_file(state[1], shared=True, size=8, dtype=torch.uint8).fill_(65)
        self.path = state[1]
        self.training = state[2]

    def forward(self, inputs: torch.Tensor):
        return inputs


CONTENT = {
    'state': OrderedDict(weight=torch.arange(6.0).view(2, 3), half=torch.ones(2).bfloat16()),
    'parameter': torch.nn.Parameter(torch.ones(2)),
    'figures': [1, 0.5, 'text', None, True],
}
NUMBERS = [np.float64(73.26), np.float32(0.5), np.float16(2), np.int64(3), np.bool_(True)]


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
@needs_safe_globals
def test_numbers_of_numpy(tmp_path, zipped):
    path = tmp_path / 'x.pkl'
    torch.save(NUMBERS, path, _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(path)
    assert found == NUMBERS
    assert [each.dtype for each in found] == [each.dtype for each in NUMBERS]


def test_numbers_of_numpy_1(tmp_path):
    """Protocol 2 as NumPy 1 and PyTorch wrote it, under the module name of then."""
    path = tmp_path / 'x.pkl'
    torch.save(np.float64(73.26), path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'numpy._core.multiarray', b'numpy.core.multiarray'))
    if hasattr(torch.serialization, 'safe_globals'):
        assert read_checkpoint(path) == 73.26
    else:
        with pytest.raises(InputError, match='contains NumPy scalars, which PyTorch 2.1'):
            read_checkpoint(path)


def pickled_attack(path):
    path.write_bytes(pickle.dumps(Attack(str(path.parent / 'attacked'))))


def saved_attack(path):
    torch.save({'state': Attack(str(path.parent / 'attacked'))}, path)


def legacy_attack(path):
    content = {'state': Attack(str(path.parent / 'attacked'))}
    torch.save(content, path, _use_new_zipfile_serialization=False)


def script(path):
    (path.parent / 'attacked').write_bytes(b'innocent')
    torch.jit.script(Script(str(path.parent / 'attacked'))).save(str(path))
    (path.parent / 'attacked').write_bytes(b'innocent')


def script_in_disguise(path):
    """Python's zipfile does not see the archive, PyTorch does."""
    script(path)
    content = bytearray(path.read_bytes())
    end = content.rfind(b'PK\5\6')
    content[end + 20 : end + 22] = (4).to_bytes(2, 'little')
    path.write_bytes(content + b'PK\5\6')


def renamed_function(path):
    """Renames a harmless function, whose source PyTorch then dumps under that name."""

    def text(value):
        return b'X' + struct.pack('<I', len(value.encode())) + value.encode()

    function = b'ctorch._utils\n_rebuild_tensor_v2\n'
    body = b'\x80\x02' + function + b'N}(' + text('dump_patches') + b'\x88'
    body += text('__name__') + text(str(path.parent / 'attacked')) + b'u\x86b0'
    body += b'(' + text('module') + function + text('x') + text('evil') + b'tQ0}.'
    file = io.BytesIO()
    header = dict(protocol_version=1001, little_endian=True, type_sizes={})
    for each in (0x1950A86A20F9469CFC6C, 1001, header):
        pickle.dump(each, file, protocol=2)
    path.write_bytes(file.getvalue() + body + pickle.dumps([], protocol=2))


@pytest.mark.parametrize(
    'attack',
    [
        *(pickled_attack, saved_attack, legacy_attack),
        *(script, script_in_disguise, renamed_function),
    ],
)
def test_nothing_runs(tmp_path, attack):
    path = tmp_path / 'x.pkl'
    attack(path)
    before = {each: each.read_bytes() for each in tmp_path.iterdir()}
    with pytest.raises(InputError, match=r'x\.pkl (is damaged|contains)'):
        read_checkpoint(path)
    assert {each: each.read_bytes() for each in tmp_path.iterdir()} == before
    assert torch._utils._rebuild_tensor_v2.__name__ == '_rebuild_tensor_v2'


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


@pytest.mark.parametrize(
    'place', ['https://x.org/a.pth', 'openmmlab://a', 'torchvision://resnet50']
)
def test_the_tools_read_local_files_alone(place, monkeypatch):
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    use_safe_loading()
    with pytest.raises(InputError, match=f'{place} is not a local file: download it and give'):
        CheckpointLoader.load_checkpoint(place)


def test_the_tools_read_safely(tmp_path, monkeypatch):
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    use_safe_loading()
    saved_attack(tmp_path / 'x.pkl')
    with pytest.raises(InputError, match=r'x\.pkl (is damaged|contains)'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'x.pkl'))
    assert not (tmp_path / 'attacked').exists()


def test_a_compressed_file_is_not_inflated(tmp_path):
    """PyTorch never compresses: a small file could become larger than the memory."""
    torch.save(dict(weight=torch.zeros(10**6)), tmp_path / 'x.pth')
    with (
        zipfile.ZipFile(tmp_path / 'x.pth') as stored,
        zipfile.ZipFile(tmp_path / 'small.pth', 'w', zipfile.ZIP_DEFLATED) as small,
    ):
        for entry in stored.infolist():
            small.writestr(entry.filename, stored.read(entry))
    assert (tmp_path / 'small.pth').stat().st_size < 10**5
    with pytest.raises(InputError, match=r'small\.pth is damaged, .* is compressed'):
        read_checkpoint(tmp_path / 'small.pth')
