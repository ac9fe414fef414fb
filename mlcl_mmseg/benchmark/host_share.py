"""How long the GPU is busy in a step, and how often the host waits for it.

The profiler slows the host down, but not the kernels. The time of the kernels is therefore compared
with the duration of steps that were not profiled.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from torch.autograd.profiler_util import FunctionEvent

from ..errors import InputError

# what the profiler itself does
OVERHEAD = ('Activity Buffer Request', 'Buffer Flush', 'Command Buffer Full', 'Instrumentation')
# ends of the names of calls in which the host waits for the GPU
WAITS = ('StreamSynchronize', 'EventSynchronize', 'DeviceSynchronize')


def device_work(events: Iterable[FunctionEvent]) -> dict[str, Any]:
    """Sum up what a GPU did in a profiled step.

    Args:
        events (Iterable[FunctionEvent]): Events of
            :func:`~mlcl_mmseg.benchmark.step_parts.profile_events`.

    Returns:
        dict[str, Any]: ``kernels``, the number of kernels and copies; ``device_seconds``, during
        which at least one of them ran; and ``waits``, how often the host waited for the GPU. The
        wait at the end of the profile is included.

    Raises:
        InputError: If the profiler has seen no kernel.
    """
    events = list(events)
    on_host = [event for event in events if event.device_type.name == 'CPU']
    # named ranges of the host are repeated on the device, around its kernels
    names = {event.name for event in on_host}.union(OVERHEAD)
    kernels = [
        (event.time_range.start, event.time_range.end)
        for event in events
        if event.device_type.name == 'CUDA' and event.name not in names
    ]
    if not kernels:
        raise InputError(
            'PyTorch has profiled no kernel of the GPU: allow the use of its performance counters, '
            'or stop other profilers.'
        )
    return dict(
        kernels=len(kernels),
        device_seconds=covered(kernels) / 1e6,
        waits=sum(event.name.endswith(WAITS) for event in on_host),
    )


def covered(ranges: Sequence[tuple[float, float]]) -> float:
    """The length of the union of ranges (start, end)."""
    total, reached = 0.0, float('-inf')
    for start, end in sorted(ranges):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
