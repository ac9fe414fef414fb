"""Runs that differ in nothing but the seed, as one: mean and spread."""

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

# of the style sheet; after as many groups they come again
COLOURS = 8


@dataclass(frozen=True)
class Figure:
    """A mean over seeds, and their sample standard deviation; None of one run."""

    mean: float
    deviation: float | None

    def __str__(self) -> str:
        """Such as '49.86' or '50.68 ± 1.54'; a dash where there is no value."""
        if not np.isfinite(self.mean):
            return '–'
        return f'{self.mean:.2f}' + ('' if self.deviation is None else f' ± {self.deviation:.2f}')


def figure(values: Iterable[float]) -> Figure:
    """The mean and spread of finite values."""
    values = [value for value in values if np.isfinite(value)]
    if not values:
        return Figure(float('nan'), None)
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Figure(float(np.mean(values)), deviation)


@dataclass
class Group:
    """Runs of the same settings and data, in the order of their seeds.

    Attributes:
        runs (list[Run]): At least one.
        colour (int): Number of its colour in the style sheet.
    """

    runs: list[Run]
    colour: int

    @property
    def first(self) -> Run:
        """The run whose pictures are shown."""
        return self.runs[0]

    @property
    def name(self) -> str:
        """The run's, or what the names of several have in common, such as 'seed{0,1}/warmup'."""
        names = [run.name for run in self.runs]
        if len(names) == 1:
            return names[0]
        # of strings, not of paths
        head = os.path.commonprefix(names)  # noqa: RUF071
        if any(name[len(head) :][:1].isalpha() for name in names):
            # not within a word
            head = re.sub(r'[^\W\d_]+$', '', head)
        rests = [name[len(head) :] for name in names]
        tail = os.path.commonprefix([rest[::-1] for rest in rests])[::-1]  # noqa: RUF071
        tail = ''.join(tail.partition('/')[1:])
        parts = [rest[: len(rest) - len(tail)] for rest in rests]
        shown = parts if len(parts) <= 3 else [*parts[:2], '…']
        return f'{head}{{{",".join(shown)}}}{tail}'

    @property
    def published(self) -> PublishedFigures | None:
        """The authors' figures of the setting that the runs train, if they published some."""
        return self.first.published

    @property
    def domains(self) -> list[str]:
        """The validated domains."""
        found = [name for run in self.runs for row in run.validations.values() for name in row]
        return [name for name in dict.fromkeys(found) if name != 'mean']

    def best(self, domain: str) -> Figure:
        """A domain's mIoU, or the 'mean', at each run's best validation."""
        rows = [run.validations[run.best] for run in self.runs if run.best is not None]
        return figure(row.get(domain, float('nan')) for row in rows)

    def each(self, read: Callable[[Run], Any]) -> str:
        """What the runs have in a setting, in words; once if it is the same."""
        return ', '.join(dict.fromkeys(str(read(run)) for run in self.runs))

    def curve(self, read: Callable[[Run], dict[int, float]]) -> tuple[dict, dict]:
        """Means and deviations by iteration, where all runs that have any have values.

        Args:
            read (Callable): A run's values by iteration.

        Returns:
            tuple[dict, dict]: Means; deviations, empty for one run.
        """
        # a run that has just begun hides nothing of the others
        curves = [curve for curve in map(read, self.runs) if curve]
        if not curves:
            return {}, {}
        steps = sorted(set.intersection(*map(set, curves)))
        figures = {step: figure(curve[step] for curve in curves) for step in steps}
        means = {step: each.mean for step, each in figures.items()}
        spread = {step: each.deviation or 0.0 for step, each in figures.items()}
        return means, spread if len(curves) > 1 else {}


def published_settings(groups: Sequence[Group]) -> list[PublishedFigures]:
    """The authors' figures of the settings that groups train, each once."""
    found = [group.published for group in groups if group.published is not None]
    return list({each.setting: each for each in found}.values())


def leader(groups: Sequence[Group]) -> Group | None:
    """The group with the highest mean among those whose first run kept its best validation."""
    found = [group for group in groups if group.first.best_record]
    return max(found, key=lambda group: group.best('mean').mean, default=None)


def group_runs(runs: list[Run]) -> list[Group]:
    """Runs by what decides their outcome but the seed, in the order given."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(key_of(run), []).append(run)
    return [
        Group(sorted(members, key=lambda run: (run.seed is None, run.seed)), place % COLOURS)
        for place, members in enumerate(groups.values())
    ]


def key_of(run: Run) -> str:
    """What decides a run's outcome but the seed, its stage before included."""
    settings = without_seed(run.settings)
    origin = run.config.get('load_from')
    if origin is not None:
        started = Path(origin).parent / STARTED
        if started.is_file():
            # weights of other seeds differ, too
            settings['load_from'] = without_seed(read_settings(started))
        else:
            settings.setdefault('load_from', origin)
    return json.dumps(settings, sort_keys=True)


def without_seed(settings: dict) -> dict:
    """Settings of a stage but the seed."""
    randomness = {key: value for key, value in settings['randomness'].items() if key != 'seed'}
    return {**settings, 'randomness': randomness}
