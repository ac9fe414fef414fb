import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlcl_mmseg.report.chart import (
    BOTTOM,
    HEIGHT,
    LEFT,
    MOST_POINTS,
    RIGHT,
    TOP,
    WIDTH,
    Line,
    line_chart,
    thin_out,
    tick_labels,
    ticks,
)

numbers = st.floats(-1e6, 1e6) | st.floats(0, 1e-3)


@given(st.dictionaries(st.integers(0, 10**5), numbers, min_size=1, max_size=20))
def test_everything_lies_inside(values):
    spread = {x: abs(y) / 10 for x, y in values.items()}
    svg = line_chart('a', [Line('b', values, 0, spread=spread)])
    points = re.findall(r'[ML](-?[\d.e+-]+) (-?[\d.e+-]+)', svg)
    assert len(points) == 3 * len(values)
    for x, y in points:
        assert LEFT <= float(x) <= WIDTH - RIGHT
        assert TOP <= float(y) <= HEIGHT - BOTTOM


def test_by_hand():
    svg = line_chart('t <', [Line('l', {0: 0.0, 10: 1.0}, 3), Line('none', {}, 0)])
    assert f'd="M{LEFT} {HEIGHT - BOTTOM}L{WIDTH - RIGHT} {TOP}"' in svg
    assert 'class="colour-3"' in svg and 'colour-0' not in svg
    assert '<title>l, 10: 1</title>' in svg
    assert '<figcaption>t &lt;</figcaption>' in svg


@given(numbers, numbers)
@example(0.0, 5e-324)
@example(8.8e-41, 5e-39)
def test_ticks_ascend_and_are_told_apart(a, b):
    low, high = min(a, b), max(a, b)
    found = ticks(low, high, 4)
    assert 2 <= len(found) <= 6
    assert found == sorted(found)
    if high > low:
        margin = 1e-6 * (abs(low) + abs(high))
        assert low - margin <= found[0] and found[-1] <= high + margin


@pytest.mark.parametrize(
    ('values', 'labels'),
    [
        ([0, 20000, 40000], ['0k', '20k', '40k']),
        ([1.385, 1.386], ['1.385', '1.386']),
        ([20, 40], ['20', '40']),
        ([0, 50, 100, 150, 200], ['0', '50', '100', '150', '200']),
        ([99.6, 99.9], ['99.6', '99.9']),
        ([0.00069, 0.0007], ['6.9e-4', '7.0e-4']),
    ],
)
def test_tick_labels(values, labels):
    assert tick_labels(values) == labels


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_iterations_are_written_in_full(first, more):
    labels = tick_labels(ticks(first, first + more, 4))
    assert not any('e' in label for label in labels)


def test_long_lines_become_means_of_neighbours():
    values = {step: float(step % 2) for step in range(0, 10 * MOST_POINTS)}
    values[3] = math.nan
    found = thin_out(Line('a', values, 0, spread=dict.fromkeys(values, 2.0)))
    assert len(found.values) == MOST_POINTS
    assert list(found.values) == sorted(found.values)
    assert all(0.4 <= value <= 0.6 for value in found.values.values())
    assert set(found.spread.values()) == {2.0}
    assert found.values.keys() == found.spread.keys()
