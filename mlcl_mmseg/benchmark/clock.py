"""Timing on CPUs and GPUs."""

import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch


def synchronise(device: str) -> None:
    """Wait until the device has computed all that it was told to."""
    if device == 'cuda':
        torch.cuda.synchronize()


def milliseconds(run: Callable[[], Any], device: str, iterations: int) -> np.ndarray:
    """Time a call, after two that are not counted.

    Args:
        run (Callable): What to time.
        device (str): 'cpu' or 'cuda', on which it computes.
        iterations (int): Number of calls that are counted.

    Returns:
        np.ndarray: (iterations,) milliseconds.
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
    """The most that PyTorch has held on the GPU, or this process in memory, in MiB."""
    if device == 'cuda':
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
