"""Timing on CPUs and GPUs."""

import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch


def synchronise(device: str) -> None:
    """Wait until the device has finished all queued work."""
    if device == 'cuda':
        torch.cuda.synchronize()


class Budget:
    """Seconds that a measurement may take.

    Args:
        seconds (float): The seconds from now on.
    """

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def left(self) -> float:
        """The seconds that are left, 0 or more."""
        return max(0.0, self.end - time.monotonic())

    def share(self, part: float) -> 'Budget':
        """A budget of a part, from 0 to 1, of what is left."""
        return Budget(part * self.left())


def durations(
    run: Callable[[], Any],
    device: str,
    fewest: int,
    most: int,
    budget: Budget | None = None,
) -> np.ndarray:
    """Time calls of a function, each until the device has finished it.

    Args:
        run (Callable): The function. It should have been called before for warm-up.
        device (str): The device on which it computes, 'cpu' or 'cuda'.
        fewest (int): Number of calls that are timed in any case.
        most (int): Largest number of timed calls.
        budget (Budget, optional): After ``fewest`` calls, no call begins when it is used up.

    Returns:
        np.ndarray: (number of calls,) duration of each call in seconds.
    """
    times: list[float] = []
    while len(times) < fewest or (len(times) < most and (budget is None or budget.left() > 0)):
        synchronise(device)
        start = time.perf_counter()
        run()
        synchronise(device)
        times.append(time.perf_counter() - start)
    return np.array(times)


def milliseconds(run: Callable[[], Any], device: str, iterations: int) -> np.ndarray:
    """Time a function, after two calls for warm-up.

    Args:
        run (Callable): The function.
        device (str): The device on which it computes, 'cpu' or 'cuda'.
        iterations (int): Number of timed calls.

    Returns:
        np.ndarray: (iterations,) duration of each call in milliseconds.
    """
    for _ in range(2):
        run()
    return 1000 * durations(run, device, iterations, iterations)


def peak_memory(device: str) -> float:
    """Return the peak memory in MiB: of PyTorch on the GPU, or of this process on the CPU."""
    if device == 'cuda':
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
