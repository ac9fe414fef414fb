"""Seconds and memory of training steps that follow one another as in a run.

The steps read batches from pinned memory, and nothing waits for the device between them. A host
that is faster than the device therefore queues work ahead, and the slower of the two decides.
"""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from .clock import Budget, durations
from .training import Training, images_per_step

# steps before the timed ones: memory is allocated, and cuDNN chooses its algorithms
WARM_UP = dict(cuda=3, cpu=1)
# a chunk of steps lasts about this many seconds, but has no more steps than this
CHUNK_SECONDS, LONGEST_CHUNK = 1.0, 10
# numbers of timed chunks; a single one if the budget is too small for three
FEWEST, MOST = 3, 20


class Chunks:
    """Runs chunks of steps and notes how long the host takes for each step.

    Args:
        training (Training): What takes the steps.
        batches (Iterator[dict]): The batches.

    Attributes:
        host (list[float]): Seconds until each step had returned. They include waits for the device.
    """

    def __init__(self, training: Training, batches: Iterator[dict]) -> None:
        self.training = training
        self.batches = batches
        self.host: list[float] = []

    def run(self, steps: int) -> None:
        """Take some steps without waiting for the device between them."""
        for _ in range(steps):
            start = time.perf_counter()
            self.training.step(next(self.batches))
            self.host.append(time.perf_counter() - start)


def throughput(
    training: Training, batches: Iterator[dict], device: str, budget: Budget
) -> dict[str, Any]:
    """Measure seconds and memory of steps.

    Args:
        training (Training): What takes the steps.
        batches (Iterator[dict]): The batches, all of one size.
        device (str): 'cpu' or 'cuda'.
        budget (Budget): No chunk begins after it, except the first one.

    Returns:
        dict[str, Any]: ``seconds_per_step`` and ``host_seconds_per_step`` (medians),
        ``images_per_second``, ``steps`` and, of these, ``skipped_steps``, which were not finite;
        on a GPU also ``allocated_gib`` and ``reserved_gib``, the largest memory of tensors and of
        PyTorch.
    """
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    chunks = Chunks(training, batches)
    chunks.run(WARM_UP[device])
    (single,) = durations(lambda: chunks.run(1), device, 1, 1)
    wanted = min(CHUNK_SECONDS, budget.left() / FEWEST)
    length = int(np.clip(wanted / single, 1, LONGEST_CHUNK))
    before = len(training.applied)
    chunks.host.clear()
    fewest = FEWEST if budget.left() > FEWEST * length * single else 1
    seconds = durations(lambda: chunks.run(length), device, fewest, MOST, budget) / length
    median = float(np.median(seconds))
    found = dict(
        seconds_per_step=median,
        host_seconds_per_step=float(np.median(chunks.host)),
        images_per_second=images_per_step(next(batches)) / median,
        steps=len(chunks.host),
        skipped_steps=sum(not applied for applied in training.applied[before:]),
    )
    return found | (peak_gib() if device == 'cuda' else {})


def peak_gib() -> dict[str, float]:
    """The largest memory of tensors and of PyTorch on the GPU in GiB."""
    return dict(
        allocated_gib=torch.cuda.max_memory_allocated() / 2**30,
        reserved_gib=torch.cuda.max_memory_reserved() / 2**30,
    )


def use_cudnn_benchmark(config: Config) -> None:
    """Let cuDNN search for the fastest algorithms if the config does."""
    torch.backends.cudnn.benchmark = config.get('env_cfg', {}).get('cudnn_benchmark', False)
