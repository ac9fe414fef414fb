"""Groups of runs that differ only in the seed, with means and standard deviations."""

import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.stage_files import STARTED
from ..methods.base import PublishedFigures
from .run import Run, read_settings

# number of colours in the style sheet; further groups use them again
COLOURS = 8


@dataclass(frozen=True)
class Figure:
    """A mean over seeds and its sample standard deviation.

    Attributes:
        mean (float): The mean; NaN if there is no value.
        deviation (float, optional): The sample standard deviation; None for fewer than two values.
    """

    mean: float
    deviation: float | None

    def __str__(self) -> str:
        """Format the figure, such as '49.86' or '50.68 ± 1.54', or a dash if it has no value."""
        if not np.isfinite(self.mean):
            return '–'
        return f'{self.mean:.2f}' + ('' if self.deviation is None else f' ± {self.deviation:.2f}')


def figure(values: Iterable[float]) -> Figure:
    """The mean and the sample standard deviation of the finite values."""
    values = [value for value in values if np.isfinite(value)]
    if not values:
        return Figure(float('nan'), None)
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Figure(float(np.mean(values)), deviation)


@dataclass
class Group:
    """Runs of the same settings and data, in the order of their seeds.

    Attributes:
        runs (list[Run]): The runs, at least one.
        colour (int): Number of its colour in the style sheet.
    """

    runs: list[Run]
    colour: int

    @property
    def first(self) -> Run:
        """The first run, whose predicted images are shown."""
        return self.runs[0]

    @property
    def name(self) -> str:
        """The name of the run, or a pattern for several runs, such as 'seed{0,1}/warmup'."""
        names = [run.name for run in self.runs]
        if len(names) == 1:
            return names[0]
        # a common prefix of strings is wanted, not of paths
        head = os.path.commonprefix(names)  # noqa: RUF071
        if any(name[len(head) :][:1].isalpha() for name in names):
            # the prefix must not end within a word
            head = re.sub(r'[^\W\d_]+$', '', head)
        rests = [name[len(head) :] for name in names]
        tail = os.path.commonprefix([rest[::-1] for rest in rests])[::-1]  # noqa: RUF071
        tail = ''.join(tail.partition('/')[1:])
        parts = [rest[: len(rest) - len(tail)] for rest in rests]
        shown = parts if len(parts) <= 3 else [*parts[:2], '…']
        return f'{head}{{{",".join(shown)}}}{tail}'

    @property
    def published(self) -> PublishedFigures | None:
        """The authors' published figures for the setting that the runs train, if there are any."""
        return self.first.published

    @property
    def domains(self) -> list[str]:
        """The validated domains."""
        found = [name for run in self.runs for row in run.validations.values() for name in row]
        return [name for name in dict.fromkeys(found) if name != 'mean']

    def best(self, domain: str) -> Figure:
        """The mIoU of a domain, or the 'mean' over domains, at the best validation of each run."""
        rows = [run.validations[run.best] for run in self.runs if run.best is not None]
        return figure(row.get(domain, float('nan')) for row in rows)

    def each(self, read: Callable[[Run], Any]) -> str:
        """The different values that ``read`` returns for the runs, as text."""
        return ', '.join(dict.fromkeys(str(read(run)) for run in self.runs))

    def curve(self, read: Callable[[Run], dict[int, float]]) -> tuple[dict, dict]:
        """Means and standard deviations by iteration.

        Only iterations for which all runs have values are included; runs without any values are
        ignored.

        Args:
            read (Callable): It returns the values of a run by iteration.

        Returns:
            tuple[dict, dict]: Means, and standard deviations, which are empty for one run.
        """
        # a run without values has just started and must not hide the curves of the others
        curves = [curve for curve in map(read, self.runs) if curve]
        if not curves:
            return {}, {}
        steps = sorted(set.intersection(*map(set, curves)))
        figures = {step: figure(curve[step] for curve in curves) for step in steps}
        means = {step: each.mean for step, each in figures.items()}
        spread = {step: each.deviation or 0.0 for step, each in figures.items()}
        return means, spread if len(curves) > 1 else {}


def published_settings(groups: Sequence[Group]) -> list[PublishedFigures]:
    """The authors' published figures for the settings that the groups train, without repeats."""
    found = [group.published for group in groups if group.published is not None]
    return list({each.setting: each for each in found}.values())


def leader(groups: Sequence[Group]) -> Group | None:
    """The group with the highest mean mIoU.

    Only groups whose first run stored a record of its best validation are considered.
    """
    found = [group for group in groups if group.first.best_record]
    return max(found, key=lambda group: group.best('mean').mean, default=None)


def group_runs(runs: list[Run]) -> list[Group]:
    """Group runs that differ only in the seed, in the order of ``runs``."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(key_of(run), []).append(run)
    return [
        Group(sorted(members, key=lambda run: (run.seed is None, run.seed)), place % COLOURS)
        for place, members in enumerate(groups.values())
    ]


def key_of(run: Run) -> str:
    """A key of all settings that affect the result of a run, except seeds.

    The settings of the stage before are part of it.
    """
    settings = without_seed(run.settings)
    origin = run.config.get('load_from')
    if origin is not None:
        started = Path(origin).parent / STARTED
        if started.is_file():
            # paths of checkpoints differ between seeds, so compare the settings behind them
            settings['load_from'] = without_seed(read_settings(started))
        else:
            settings.setdefault('load_from', origin)
    return json.dumps(settings, sort_keys=True)


def without_seed(settings: dict) -> dict:
    """The settings of a stage without its seed."""
    randomness = {key: value for key, value in settings['randomness'].items() if key != 'seed'}
    return {**settings, 'randomness': randomness}
