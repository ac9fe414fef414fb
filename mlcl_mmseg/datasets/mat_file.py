"""Numbers from a file of MATLAB, such as GTA5's split.mat.

SciPy's reader ends the whole process on some damaged files. The format is level 5 of MathWorks'
"MAT-File Format".
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

MATRIX, COMPRESSED = 14, 15
NUMBERS = {
    **{1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4'},
    **{7: 'f4', 9: 'f8', 12: 'i8', 13: 'u8'},
}
HEADER = 128


def read_numbers(path: str | Path, name: str) -> np.ndarray:
    """Read an array of real numbers.

    Args:
        path (str | Path): The file.
        name (str): The array's.

    Returns:
        np.ndarray: (n,), as they are stored.

    Raises:
        ValueError: If the file is damaged, in another format, or has no such array.
    """
    content = Path(path).read_bytes()
    try:
        order = {b'IM': '<', b'MI': '>'}[content[HEADER - 2 : HEADER]]
        for kind, data in elements(content[HEADER:], order):
            if kind == COMPRESSED:
                ((kind, data),) = elements(zlib.decompress(data), order)
            if kind != MATRIX:
                continue
            _, _, (_, found), *values = elements(data, order)
            if found == name.encode():
                ((kind, data),) = values
                return np.frombuffer(data, order + NUMBERS[kind])
    except (KeyError, ValueError, struct.error, zlib.error) as error:
        raise ValueError(f'damaged, or no file of MATLAB ({error})') from error
    raise ValueError(f'it has no {name}')


def elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """The elements that follow one another, each as (type, data).

    Raises:
        ValueError: If one is cut.
    """
    place = 0
    while place < len(content):
        kind, size = struct.unpack_from(f'{order}II', content, place)
        start, step = place + 8, 8 + size
        if kind >> 16:
            # up to four bytes lie within the tag, whose halves are size and type
            kind, size, start, step = kind & 0xFFFF, kind >> 16, place + 4, 8
        elif kind != COMPRESSED:
            step += -size % 8
        if size > step or start + size > len(content):
            raise ValueError('an element is cut')
        yield kind, content[start : start + size]
        place += step
