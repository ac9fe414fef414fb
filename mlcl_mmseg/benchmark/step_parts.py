"""Where the time of a training step goes, by the names that the code gives its parts.

Segmentors and :func:`~mlcl_mmseg.models.train_step.train_step` name their parts by
``torch.profiler.record_function``. The profiler times these ranges, and each part of the backward
pass belongs to the range in which its forward operation ran.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

PARTS = ('data', 'style', 'backbone', 'heads', 'losses', 'optimiser')
# how the profiler calls the backward pass of one operation
BACKWARD = 'autograd::engine::evaluate_function: '


def step_parts(step: Callable[[], Any], device: str) -> dict[str, float]:
    """Time one step by parts.

    Args:
        step (Callable): Runs one training step; it should have run before.
        device (str): 'cpu' or 'cuda': whose time is counted.

    Returns:
        dict[str, float]: Seconds of each of :data:`PARTS` that occurred, forward and backward.
    """
    activities = [ProfilerActivity.CPU]
    if device == 'cuda':
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        step()
    return seconds_of(profiler.events(), device)


def seconds_of(events: Iterable[FunctionEvent], device: str) -> dict[str, float]:
    """Add up a profile by parts, see :func:`step_parts`."""
    events = [event for event in events if event.device_type.name == 'CPU']
    ranges = [event for event in events if event.name in PARTS]
    microseconds: dict[str, float] = defaultdict(float)
    for event in ranges:
        inner = [each for each in ranges if directly_inside(each, event, ranges)]
        microseconds[event.name] += cost(event, device) - sum(cost(each, device) for each in inner)
    part_of = forward_parts(events, ranges)
    for event in events:
        if event.name.startswith(BACKWARD):
            microseconds[part_of.get(event.sequence_nr, 'losses')] += cost(event, device)
    return {part: microseconds[part] / 1e6 for part in PARTS if part in microseconds}


def cost(event: FunctionEvent, device: str) -> float:
    """Microseconds of an event and all below it, on the host or the device."""
    return event.device_time_total if device == 'cuda' else event.cpu_time_total


def contains(outer: FunctionEvent, inner: FunctionEvent) -> bool:
    """Whether an event happened during another one on the same thread."""
    start, end = outer.time_range.start, outer.time_range.end
    return (
        outer is not inner
        and outer.thread == inner.thread
        and start <= inner.time_range.start
        and inner.time_range.end <= end
    )


def directly_inside(
    inner: FunctionEvent, outer: FunctionEvent, ranges: Sequence[FunctionEvent]
) -> bool:
    """Whether a range lies in another one and in none between."""
    return contains(outer, inner) and not any(
        contains(outer, each) and contains(each, inner) for each in ranges
    )


def forward_parts(
    events: Sequence[FunctionEvent], ranges: Sequence[FunctionEvent]
) -> dict[int, str]:
    """By autograd's sequence number, the innermost range of the operation that has it.

    Operations that record no gradient bear the number of the next one that does, which therefore
    counts.
    """
    found: dict[int, str] = {}
    for event in sorted(events, key=lambda event: event.time_range.start):
        if event.sequence_nr < 0 or event.name.startswith(BACKWARD):
            continue
        around = [each for each in ranges if contains(each, event)]
        if around:
            found[event.sequence_nr] = max(around, key=lambda each: each.time_range.start).name
    return found
