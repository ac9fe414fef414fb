"""The weights behind the golden numbers: a tensor is a function of its released name and shape."""

import zlib

import numpy as np


def seeded_array(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Deterministic stand-in weights, float32, the same on any machine."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith('num_batches_tracked'):
        return np.zeros(shape, np.int64)
    if name.endswith('running_var'):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if name.endswith('running_mean'):
        return rng.normal(0, 0.1, shape).astype(np.float32)
    if len(shape) >= 2:
        fan_in = int(np.prod(shape[1:]))
        return (rng.standard_normal(shape) * np.sqrt(1.6 / fan_in)).astype(np.float32)
    if name.endswith('bias'):
        return rng.normal(0, 0.02, shape).astype(np.float32)
    low, high = (0.1, 0.3) if '.bn3.' in name else (0.8, 1.2)
    return rng.uniform(low, high, shape).astype(np.float32)
