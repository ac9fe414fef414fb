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


def milliseconds(run: Callable[[], Any], device: str, iterations: int) -> np.ndarray:
    """Time a function, after two calls for warm-up.

    Args:
        run (Callable): The function.
        device (str): The device on which it computes, 'cpu' or 'cuda'.
        iterations (int): Number of timed calls.

    Returns:
        np.ndarray: (iterations,) duration of each call in milliseconds.
    """
    times = []
    for _ in range(iterations + 2):
        synchronise(device)
        start = time.perf_counter()
        run()
        synchronise(device)
        times.append(1000 * (time.perf_counter() - start))
    return np.array(times[2:])


def peak_memory(device: str) -> float:
    """Return the peak memory in MiB: of PyTorch on the GPU, or of this process on the CPU."""
    if device == 'cuda':
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
