"""The time of each part of a training step.

Segmentors and :func:`~mlcl_mmseg.models.train_step.train_step` mark their parts with
``torch.profiler.record_function``. The profiler times these ranges. The backward pass of an
operation belongs to the range in which its forward pass ran.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

from .clock import synchronise

PARTS = ('data', 'style', 'backbone', 'heads', 'losses', 'optimiser')
# prefix of the profiler's name for the backward pass of one operation
BACKWARD = 'autograd::engine::evaluate_function: '


def step_parts(step: Callable[[], Any], device: str) -> dict[str, float]:
    """Time the parts of one step.

    Args:
        step (Callable): Runs one training step. It should have been called before for warm-up.
        device (str): The device whose time is measured, 'cpu' or 'cuda'.

    Returns:
        dict[str, float]: Seconds of the forward and backward passes of each of :data:`PARTS` that
        occurred.
    """
    return seconds_of(profile_events(step, device), device)


def profile_events(step: Callable[[], Any], device: str) -> list[FunctionEvent]:
    """Run one step in the profiler, and return what the host and the device did.

    Args:
        step (Callable): See :func:`step_parts`.
        device (str): 'cpu' or 'cuda'.
    """
    activities = [ProfilerActivity.CPU]
    if device == 'cuda':
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        step()
        # the profiler would otherwise end before the device does
        synchronise(device)
    return list(profiler.events())


def seconds_of(events: Iterable[FunctionEvent], device: str) -> dict[str, float]:
    """Sum the times of a profile by parts, see :func:`step_parts`."""
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
    """Return the microseconds of an event and all nested events, on the host or the device."""
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
    """Whether a range is nested in another one without a range between them."""
    return contains(outer, inner) and not any(
        contains(outer, each) and contains(each, inner) for each in ranges
    )


def forward_parts(
    events: Sequence[FunctionEvent], ranges: Sequence[FunctionEvent]
) -> dict[int, str]:
    """Map autograd's sequence numbers to the innermost range of the forward operation.

    An operation that records no gradient has the same number as the next one that records a
    gradient. Since events are processed in order of time, the latter determines the range.
    """
    found: dict[int, str] = {}
    for event in sorted(events, key=lambda event: event.time_range.start):
        if event.sequence_nr < 0 or event.name.startswith(BACKWARD):
            continue
        around = [each for each in ranges if contains(each, event)]
        if around:
            found[event.sequence_nr] = max(around, key=lambda each: each.time_range.start).name
    return found
