"""Read a run from its work dir; this also works while the run is training."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from pydantic import BaseModel, ConfigDict

from ..engine.config_record import CONFIG, read_config
from ..engine.run_records import ENVIRONMENT, PSEUDO_LABELS, VALIDATIONS, Validation
from ..engine.stage_files import COMPLETE, STARTED, Marker
from ..errors import InputError, MissingFileError
from ..json_records import LARGEST, Count, parse_record, read_record
from ..methods.base import PublishedFigures, segmentor_class
from ..untrusted_files import read_file


class Line(BaseModel):
    """A line of ``scalars.json``: an iteration and figures."""

    model_config = ConfigDict(extra='allow')

    step: Count


@dataclass
class Run:
    """The contents of the work dir of a run.

    Attributes:
        folder (Path): The work dir.
        name (str): A short name that is unique among the runs on the page.
        config (Config): The config.
        config_text (str): Contents of the config file.
        settings (dict): The settings that affect the result of the run, from ``started.json``.
        is_complete (bool): Whether the run was trained to the end.
        scalars (dict[str, dict[int, float]]): Values logged in training, by name and iteration.
        validations (dict[int, dict[str, float]]): mIoU in percent, by iteration and domain, and
            their 'mean'.
        records (dict[int, dict]): Records written by :func:`write_validation`, by iteration.
        environment (dict[str, str]): Versions and hardware; empty if they were not recorded.
    """

    folder: Path
    name: str
    config: Config
    config_text: str
    settings: dict[str, Any]
    is_complete: bool
    scalars: dict[str, dict[int, float]]
    validations: dict[int, dict[str, float]]
    records: dict[int, dict]
    environment: dict[str, str]

    @property
    def seed(self) -> int | None:
        """The seed; None if the run used a random seed."""
        return self.config.get('randomness', {}).get('seed')

    @property
    def iterations(self) -> int:
        """The last iteration that was logged."""
        steps = [step for values in self.scalars.values() for step in values]
        return max([*steps, *self.validations], default=0)

    @property
    def best(self) -> int | None:
        """The iteration of the best validation, the earliest if several are equal."""
        steps = sorted(self.validations)
        return max(steps, key=lambda step: self.validations[step]['mean'], default=None)

    @property
    def best_record(self) -> dict | None:
        """The record of the best validation, if it was stored."""
        return None if self.best is None else self.records.get(self.best)

    @property
    def best_checkpoint(self) -> Path | None:
        """The checkpoint of the best validation, if it still exists."""
        found = [
            *self.folder.glob(f'best_*iter_{self.best}.pth'),
            *self.folder.glob(f'iter_{self.best}.pth'),
        ]
        return next(iter(found), None)

    @cached_property
    def published(self) -> PublishedFigures | None:
        """The figures that the authors of the method published for the setting of the run."""
        return segmentor_class(self.config).published_figures(self.config)

    @property
    def generations(self) -> dict[int, Path]:
        """The folders with stored samples of the pseudo-labels, by iteration."""
        return {
            iteration_of(path): path
            for path in by_log(self.folder, f'{PSEUDO_LABELS}/iter_*')
            if path.stem.removeprefix('iter_').isdecimal()
        }


def read_run(folder: str | Path, name: str) -> Run:
    """Read a run.

    Args:
        folder (str | Path): The work dir of the run.
        name (str): The name of the run on the page.

    Raises:
        MissingFileError: If the folder is not the work dir of a run, or if nothing has been logged
            yet.
        InputError: If a file of the run is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingFileError(f'{folder} does not exist: pass the work dir of a run.')
    started, path = folder / STARTED, folder / CONFIG
    if not started.is_file():
        raise MissingFileError(f'{folder} has no {STARTED}: pass a work dir of tools/train.py.')
    lines = read_lines(folder)
    if not lines:
        raise MissingFileError(
            f'{folder} has no figures yet (*/vis_data/scalars.json): wait until the run logs some.'
        )
    records = {
        iteration_of(each): read_record(each, Validation, 'remove it', allow_nan=True).model_dump()
        for each in by_log(folder, f'{VALIDATIONS}/iter_*.json')
        if each.stem.removeprefix('iter_').isdecimal()
    }
    environments = by_log(folder, ENVIRONMENT)[-1:]
    environment = [read_record(each, dict[str, str], 'remove it') for each in environments]
    return Run(
        folder=folder,
        name=name,
        config=read_config(path),
        config_text=path.read_text('utf-8'),
        settings=read_settings(started),
        is_complete=(folder / COMPLETE).is_file(),
        scalars=training_scalars(lines),
        validations=validations_of(lines),
        records=records,
        environment=environment[0] if environment else {},
    )


def read_settings(path: Path) -> dict[str, Any]:
    """Read the settings that affect the result of a run from its ``started.json``.

    Raises:
        InputError: If the file is damaged.
    """
    return read_record(path, Marker, 'omit this run').settings


def by_log(folder: Path, pattern: str) -> list[Path]:
    """Files that match a pattern in the log folders of a run, the latest log folder last."""
    return sorted(folder.glob(f'[0-9]*/{pattern}'))


def iteration_of(path: Path) -> int:
    """The iteration in the name ``iter_<k>`` or ``iter_<k>.json``."""
    return int(path.stem.removeprefix('iter_'))


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """Read the logged scalars of a run, MMEngine's ``<time>/vis_data/scalars.json``, in order.

    An incomplete line is skipped, because a run that was killed may leave one.

    Raises:
        InputError: If a complete line is damaged.
    """
    lines = []
    for path in by_log(folder, 'vis_data/scalars.json'):
        text = read_file(path, LARGEST, 'remove it').decode(errors='replace')
        for number, line in enumerate(text.splitlines(), 1):
            if line.endswith('}'):
                try:
                    lines.append(parse_record(line, Line, allow_nan=True).model_dump())
                except ValueError as error:
                    raise InputError(
                        f'{path} is damaged in line {number} ({error}): remove the line.'
                    ) from error
    return lines


def validations_of(lines: list[dict[str, Any]]) -> dict[int, dict[str, float]]:
    """Select the validations from logged lines.

    If an iteration was validated again, the later validation counts.

    Returns:
        dict[int, dict[str, float]]: mIoU in percent, by iteration and domain, and their 'mean'.
    """
    prefix = 'mIoU/'
    return {
        line['step']: {
            **{
                key.removeprefix(prefix): line[key]
                for key in line
                if key.startswith(prefix) and isinstance(line[key], int | float)
            },
            'mean': line['mIoU'],
        }
        for line in lines
        if isinstance(line.get('mIoU'), int | float)
    }


def training_scalars(lines: list[dict[str, Any]]) -> dict[str, dict[int, float]]:
    """Select the values that were logged in training, by name and iteration.

    If an iteration was logged again, the later value counts.
    """
    scalars: dict[str, dict[int, float]] = {}
    for line in lines:
        if 'mIoU' not in line:
            for name, value in line.items():
                if isinstance(value, int | float) and np.isfinite(value):
                    scalars.setdefault(name, {})[line['step']] = value
    return scalars


def read_runs(folders: list[str | Path]) -> list[Run]:
    """Read runs and name each by the shortest end of its path that is unique.

    Raises:
        MissingFileError: See :func:`read_run`.
        InputError: See :func:`read_run`.
    """
    paths = list(dict.fromkeys(Path(folder).resolve() for folder in folders))
    return [read_run(path, name) for path, name in zip(paths, short_names(paths))]


def short_names(paths: list[Path]) -> list[str]:
    """The shortest end of each path that no other path has."""
    names = []
    for path in paths:
        length = 1
        while any(path.parts[-length:] == each.parts[-length:] for each in paths if each != path):
            length += 1
        names.append('/'.join(path.parts[-length:]))
    return names
