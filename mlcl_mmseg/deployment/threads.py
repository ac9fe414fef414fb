"""A function on many items, in threads and in order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar('Item')
Result = TypeVar('Result')
THREADS = min(8, os.cpu_count() or 1)


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """What a function makes of each item, in their order, computed a few items ahead.

    For decoding and encoding, which leave the interpreter to others. What the function raises is
    raised here.

    Args:
        function (Callable): On one item, in a thread.
        items (Iterable): They are taken one by one in this thread.
    """
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
