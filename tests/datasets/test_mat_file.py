"""Arrays that SciPy writes, and damaged ones."""

import numpy as np
import pytest
from scipy.io import savemat

from mlcl_mmseg.datasets.mat_file import read_numbers

ARRAYS = dict(
    text='abc',
    cells=np.array([1, 'a'], dtype=object),
    trainIds=np.arange(1, 300, dtype=np.uint16)[:, None],
    valIds=np.array([[7.0]]),
    testIds=np.array([[2], [5]], np.int32),
)


@pytest.fixture(params=[False, True], ids=['plain', 'compressed'])
def path(request, tmp_path):
    path = tmp_path / 'split.mat'
    savemat(path, ARRAYS, do_compression=request.param)
    return path


@pytest.mark.parametrize('name', ['trainIds', 'valIds', 'testIds'])
def test_numbers(path, name):
    found = read_numbers(path, name)
    assert found.dtype == ARRAYS[name].dtype
    np.testing.assert_array_equal(found, ARRAYS[name].ravel())


def test_what_is_not_there(path):
    with pytest.raises(ValueError, match='it has no trainids'):
        read_numbers(path, 'trainids')


def test_damage_ends_in_an_error_or_in_numbers(path):
    """Any byte flipped, any cut: SciPy's reader ends the process on some of these."""
    content, errors = path.read_bytes(), 0
    for place in range(len(content)):
        for damaged in (
            content[:place],
            content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :],
            content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :],
        ):
            path.write_bytes(damaged)
            try:
                assert read_numbers(path, 'testIds').ndim == 1
            except ValueError:
                errors += 1
    assert errors > len(content)
