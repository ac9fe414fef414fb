"""A warning that bfloat16 is slow on processors without units for it."""

import functools
import sys
import time

import torch
from mmengine.dist import is_main_process

SIZE = 256


@functools.cache
def warn_of_slow_bf16() -> None:
    """Measure a small product, and say once on standard error if bf16 is slower than fp32."""
    sentence = slowness(product_seconds(torch.float32), product_seconds(torch.bfloat16))
    if sentence is not None and is_main_process():
        print(sentence, file=sys.stderr)


def product_seconds(dtype: torch.dtype) -> float:
    """Return the seconds that this processor takes for a product of matrices, the least of 3."""
    matrix = torch.ones(SIZE, SIZE, dtype=dtype)
    seconds = []
    # the first product prepares the library
    for _ in range(4):
        begin = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - begin)
    return min(seconds[1:])


def slowness(fp32: float, bf16: float) -> str | None:
    """Say how much slower bf16 is.

    Args:
        fp32 (float): Seconds of a product in float32.
        bf16 (float): Seconds of the same product in bfloat16.

    Returns:
        str | None: A sentence with what to do about it; None if bf16 is no slower.
    """
    if bf16 <= fp32:
        return None
    return (
        f'Warning: bf16 is slow on this processor, which has no units for it: a product takes '
        f'{1000 * bf16:.2f} ms, and {1000 * fp32:.2f} ms in fp32: use --precision fp32.'
    )
