"""Whether what is nested is the same."""

import numpy as np
import torch


def assert_same(found, expected, key=''):
    """Equal to the last bit, in whatever containers."""
    assert type(found) is type(expected), key
    if isinstance(found, dict):
        assert list(found) == list(expected), key
        for name in found:
            assert_same(found[name], expected[name], f'{key}.{name}')
    elif isinstance(found, list | tuple):
        assert len(found) == len(expected), key
        for number, pair in enumerate(zip(found, expected)):
            assert_same(*pair, f'{key}.{number}')
    elif isinstance(found, torch.Tensor):
        assert torch.equal(found, expected), key
    elif isinstance(found, np.ndarray):
        assert np.array_equal(found, expected, equal_nan=True), key
    else:
        assert found == expected, key
