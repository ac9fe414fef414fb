"""Class probabilities in a quarter of the bytes that float32 takes.

Probabilities become float16, differences between neighbouring pixels, and deflated bytes. Divided
by a power of two first, small ones fall into float16's denormal range, where steps are equal: the
precision of what hardly counts is given up, as far as the size demands, before that of the rest.
"""

import bisect
import struct
import zlib

import numpy as np
import torch

# float32 takes as many times the bytes
SHARE = 4
# the exponent of the power of two, whether differences are taken, and C, h and w
HEADER = struct.Struct('<BBHHH')
# from fine to coarse, the last for noise. Steps are at most 2^-11, and 2^(exponent - 24) where that
# is more: errors are below 1/255 throughout
FORMS = [*((exponent, True) for exponent in range(18)), (17, False)]


def encode(probability: np.ndarray) -> bytes:
    """As precise as fits into a quarter of float32.

    Very small maps, of less than about a thousand values, may take more.

    Args:
        probability (np.ndarray): (C, h, w), from 0 to 1.

    Returns:
        bytes: With a checksum. Errors are below 1/255; in smooth maps they are those of float16,
        2^-12, for large probabilities and less for small ones.
    """
    values = torch.from_numpy(np.asarray(probability, np.float32))
    budget = values.numel() * 4 // SHARE

    def fits(form: tuple[int, bool]) -> bool:
        return len(encode_as(values, *form)) <= budget

    place = bisect.bisect_left(FORMS[:-1], True, key=fits)
    return encode_as(values, *FORMS[place])


def encode_as(probability: torch.Tensor, exponent: int, differences: bool) -> bytes:
    """:func:`encode` in one of the :data:`FORMS`."""
    # the bit patterns of float16 ascend with the numbers
    code: np.ndarray = (probability * 2.0**-exponent).half().numpy().view(np.uint16)
    if differences:
        code = np.diff(code, axis=1, prepend=np.uint16(0))
        code = np.diff(code, axis=2, prepend=np.uint16(0))
        # the sign becomes the lowest bit, so that high bytes are mostly 0
        code = (code << 1) ^ -(code >> 15)
    # bytes of a kind together; among them are runs of 0 and little else that repeats
    deflate = zlib.compressobj(strategy=zlib.Z_RLE)
    parts = (
        HEADER.pack(exponent, differences, *code.shape),
        (code >> 8).astype(np.uint8).tobytes(),
        code.astype(np.uint8).tobytes(),
    )
    return b''.join([*map(deflate.compress, parts), deflate.flush()])


def decode(content: bytes) -> np.ndarray:
    """What :func:`encode` was given, nearly.

    Args:
        content (bytes): Its result.

    Returns:
        np.ndarray: (C, h, w) float32.

    Raises:
        ValueError, zlib.error, struct.error: If it is none, or damaged.
    """
    content = zlib.decompress(content)
    exponent, differences, *shape = HEADER.unpack_from(content)
    high, low = np.frombuffer(content, np.uint8, offset=HEADER.size).reshape(2, *shape)
    code = (high.astype(np.uint16) << 8) | low
    if differences:
        code = (code >> 1) ^ -(code & 1)
        # NumPy is slow at adding up along the middle axis
        for row in range(1, shape[1]):
            code[:, row] += code[:, row - 1]
        np.cumsum(code, axis=2, dtype=np.uint16, out=code)
    # and at converting float16
    return (torch.from_numpy(code.view(np.float16)).float() * 2.0**exponent).numpy()
