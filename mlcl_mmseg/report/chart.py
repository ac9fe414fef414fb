"""Line charts as SVG."""

import math
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from .markup import Markup, tag

WIDTH, HEIGHT = 340, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 16, 8, 24
# lines with more points are averaged
MOST_POINTS = 240
# lines with more points have no tooltips or no marks, respectively
MOST_TOOLTIPS, MOST_MARKS = 70, 30


class Line(NamedTuple):
    """A line of a chart.

    Attributes:
        name (str): Its name in tooltips.
        values (dict[int, float]): Values by iteration.
        colour (int): Number of its colour in the style sheet.
        dashed (bool): Whether the line is dashed.
        spread (dict[int, float]): Half the height of the band around it, by iteration; empty for
            no band.
    """

    name: str
    values: dict[int, float]
    colour: int
    dashed: bool = False
    spread: dict[int, float] = {}


def line_chart(title: str, lines: Sequence[Line]) -> Markup:
    """Draw lines over iterations. Lines with few points have marks and tooltips.

    Args:
        title (str): Title of the chart.
        lines (Sequence[Line]): The lines, at least one of which has a value.

    Returns:
        Markup: A ``figure`` element.
    """
    lines = [thin_out(line) for line in lines if line.values]
    xs = [x for line in lines for x in line.values]
    lows = [y - line.spread.get(x, 0) for line in lines for x, y in line.values.items()]
    highs = [y + line.spread.get(x, 0) for line in lines for x, y in line.values.items()]
    x_ticks, y_ticks = ticks(min(xs), max(xs), 4), ticks(min(lows), max(highs), 4)
    left, right = min(xs), max(max(xs), min(xs) + 1)
    low, high = min(*lows, y_ticks[0]), max(*highs, y_ticks[-1])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - left) / (right - left) * (WIDTH - LEFT - RIGHT)
        down = (high - y) / (high - low) * (HEIGHT - TOP - BOTTOM)
        return round(LEFT + across, 1), round(TOP + down, 1)

    grid = []
    for value, text in zip(y_ticks, tick_labels(y_ticks)):
        x, y = place(left, value)
        grid.append(tag('line', x1=x, x2=WIDTH - RIGHT, y1=y, y2=y))
        grid.append(tag('text', text, x=x - 5, y=y + 4, text_anchor='end'))
    for value, text in zip(x_ticks, tick_labels(x_ticks)):
        x, y = place(value, low)
        grid.append(tag('text', text, x=x, y=HEIGHT - 6, text_anchor='middle'))
    drawn = [draw(line, place) for line in lines]
    svg = tag(
        'svg',
        tag('g', grid, class_='grid'),
        drawn,
        viewBox=f'0 0 {WIDTH} {HEIGHT}',
        role='img',
        aria_label=f'{title}: {", ".join(line.name for line in lines)}',
    )
    return tag('figure', tag('figcaption', title), svg, class_='chart')


def draw(line: Line, place: Callable[[float, float], tuple[float, float]]) -> Markup:
    """Draw a line with its band and marks.

    Args:
        line (Line): The line.
        place (Callable): It maps (iteration, value) to SVG coordinates.

    Returns:
        Markup: A ``g`` element.
    """
    points = sorted(line.values.items())
    parts = []
    if line.spread:
        above = [place(x, y + line.spread[x]) for x, y in points]
        below = [place(x, y - line.spread[x]) for x, y in points]
        parts.append(tag('path', d=f'{path([*above, *reversed(below)])}Z', class_='band'))
    parts.append(tag('path', d=path([place(*point) for point in points]), class_='line'))
    if len(points) <= MOST_TOOLTIPS:
        for x, y in points:
            across, down = place(x, y)
            half = f' ± {line.spread[x]:.4g}' if line.spread else ''
            text = tag('title', f'{line.name}, {x}: {y:.4g}{half}')
            # a larger, invisible circle makes it easier to open the tooltip
            is_marked = len(points) <= MOST_MARKS
            mark = tag('circle', cx=across, cy=down, r=2) if is_marked else None
            reach = tag('circle', cx=across, cy=down, r=8, class_='reach')
            parts.append(tag('g', text, mark, reach))
    kind = f'colour-{line.colour}{" dashed" if line.dashed else ""}'
    return tag('g', parts, class_=kind)


def path(points: Sequence[tuple[float, float]]) -> str:
    """The ``d`` attribute of an SVG path through points."""
    return 'M' + 'L'.join(f'{x:g} {y:g}' for x, y in points)


def thin_out(line: Line) -> Line:
    """Reduce a line to at most :data:`MOST_POINTS` points by averaging neighbours.

    Values that are not finite are dropped.
    """
    points = sorted((x, y) for x, y in line.values.items() if math.isfinite(y))
    if len(points) <= MOST_POINTS:
        return line._replace(values=dict(points))
    shares = np.array_split(np.array(points), MOST_POINTS)
    values = {int(x): float(y) for x, y in (share.mean(0) for share in shares)}
    spreads = np.array_split(np.array([line.spread.get(x, 0) for x, _ in points]), MOST_POINTS)
    means = dict(zip(values, (float(share.mean()) for share in spreads)))
    return line._replace(values=values, spread=means if line.spread else {})


def ticks(low: float, high: float, count: int) -> list[float]:
    """About ``count`` round numbers in the range from ``low`` to ``high``, and at least two.

    If the range contains fewer than two round numbers, its ends are returned; if it is empty, two
    numbers around it.
    """
    if high <= low:
        margin = abs(low) / 2 or 1
        return [low - margin, low + margin]
    rough = (high - low) / count
    if rough < sys.float_info.min:
        # the range is too small to compute its power of ten
        return [low, high]
    exponent = math.floor(math.log10(rough))
    power = 10.0**exponent
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    inside = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return (
        [round(index * step, 12 - exponent) for index in inside] if len(inside) > 1 else [low, high]
    )


def tick_labels(values: Sequence[float]) -> list[str]:
    """Labels with enough digits to distinguish the values, such as '60k' and '6.9e-4'."""
    largest = max(map(abs, values))
    if largest >= 1000:
        return [f'{value / 1000:g}k' for value in values]
    # with fewer digits than the integer part has, 200 would become 2e+02
    fewest = max(2, len(f'{largest:.0f}'))
    enough = (
        n for n in range(fewest, 10) if len({f'{value:.{n}g}' for value in values}) == len(values)
    )
    digits = next(enough, 10)
    labels = [f'{value:.{digits}g}' for value in values]
    if max(map(len, labels)) > 6:
        labels = [f'{value:.{digits - 1}e}'.replace('e-0', 'e-') for value in values]
    return labels
