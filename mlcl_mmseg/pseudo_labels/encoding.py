"""Compression of class probabilities to a quarter of their size in float32.

Probabilities are divided by a power of two, converted to float16, replaced by differences between
neighbouring pixels, and deflated. The division moves small probabilities into float16's denormal
range, where all steps are equal. Small probabilities therefore lose precision before large ones,
and only as much as the size requires.
"""

import bisect
import math
import struct
import zlib

import numpy as np
import torch

# factor by which the encoded probabilities are smaller than in float32
SHARE = 4
# the exponent of the power of two; whether values are differences; C, h and w
HEADER = struct.Struct('<BBHHH')
# limit of the number of values: 256 MiB as float32, more than 30 classes at 2048x1024 pixels
MAX_VALUES = 2**26
# limit of the size of an encoded file: values that cannot be compressed
MAX_BYTES = 2 * MAX_VALUES + 2**20
# (exponent, differences) from fine to coarse; the last form is for noise. Steps are at most 2^-11
# or 2^(exponent - 24), whichever is larger, so that errors are always below 1/255.
FORMS = [*((exponent, True) for exponent in range(18)), (17, False)]


def encode(probability: np.ndarray) -> bytes:
    """Encode class probabilities as precisely as fits into a quarter of their size in float32.

    Very small maps with less than about a thousand values may be larger than that.

    Args:
        probability (np.ndarray): (C, h, w) values from 0 to 1.

    Returns:
        bytes: The encoded values with a checksum. Errors are below 1/255. In smooth maps, they
        are as small as in float16: 2^-12 for large probabilities, and less for small ones.
    """
    values = torch.from_numpy(np.asarray(probability, np.float32))
    budget = values.numel() * 4 // SHARE

    def fits(form: tuple[int, bool]) -> bool:
        return len(encode_as(values, *form)) <= budget

    place = bisect.bisect_left(FORMS[:-1], True, key=fits)
    return encode_as(values, *FORMS[place])


def encode_as(probability: torch.Tensor, exponent: int, differences: bool) -> bytes:
    """Encode in one of the :data:`FORMS`, see :func:`encode`."""
    # the bit patterns of non-negative float16 values have the order of the values
    code: np.ndarray = (probability * 2.0**-exponent).half().numpy().view(np.uint16)
    if differences:
        code = np.diff(code, axis=1, prepend=np.uint16(0))
        code = np.diff(code, axis=2, prepend=np.uint16(0))
        # the sign becomes the lowest bit, so that high bytes are mostly 0
        code = (code << 1) ^ -(code >> 15)
    # high bytes first, then low bytes: they contain runs of 0 but few other repetitions
    deflate = zlib.compressobj(strategy=zlib.Z_RLE)
    parts = (
        HEADER.pack(exponent, differences, *code.shape),
        (code >> 8).astype(np.uint8).tobytes(),
        code.astype(np.uint8).tobytes(),
    )
    return b''.join([*map(deflate.compress, parts), deflate.flush()])


def decode(content: bytes) -> np.ndarray:
    """Decode class probabilities, up to the errors of :func:`encode`.

    Args:
        content (bytes): The result of :func:`encode`.

    Returns:
        np.ndarray: (C, h, w) float32.

    Raises:
        ValueError, zlib.error, struct.error: If the content is damaged or has another format.
    """
    inflate = zlib.decompressobj()
    header = inflate.decompress(content, HEADER.size)
    exponent, differences, *shape = HEADER.unpack(header)
    num_values = math.prod(shape)
    if exponent >= len(FORMS) - 1 or differences > 1 or not 0 < num_values <= MAX_VALUES:
        raise ValueError(f'its header is {(exponent, differences, *shape)}')
    # one byte more than expected, so that a longer file is noticed without inflating all of it
    values = inflate.decompress(inflate.unconsumed_tail, 2 * num_values + 1)
    if len(values) != 2 * num_values or not inflate.eof or inflate.unused_data:
        raise ValueError(f'it does not have {2 * num_values} bytes of values')
    high, low = np.frombuffer(values, np.uint8).reshape(2, *shape)
    code = (high.astype(np.uint16) << 8) | low
    if differences:
        code = (code >> 1) ^ -(code & 1)
        # faster than NumPy's cumsum along the middle axis
        for row in range(1, shape[1]):
            code[:, row] += code[:, row - 1]
        np.cumsum(code, axis=2, dtype=np.uint16, out=code)
    # values from 0 to 1 have the codes from 0 to that of 1; negative ones, infinity and NaN follow
    if code.max() > np.float16(2.0**-exponent).view(np.uint16):
        raise ValueError('it has values that are not probabilities')
    # PyTorch converts float16 faster than NumPy
    return (torch.from_numpy(code.view(np.float16)).float() * 2.0**exponent).numpy()
