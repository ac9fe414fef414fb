"""Apply a function to many items in threads, keeping their order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar('Item')
Result = TypeVar('Result')
THREADS = min(8, os.cpu_count() or 1)


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Apply a function to items in threads, a few items ahead of the caller.

    This suits the decoding and encoding of images, which release the global interpreter lock.
    Exceptions of the function are raised in the calling thread.

    Args:
        function (Callable): It is called with one item, in a thread of the pool.
        items (Iterable): The items; the calling thread iterates over them.

    Yields:
        Result: The results in the order of the items.
    """
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
