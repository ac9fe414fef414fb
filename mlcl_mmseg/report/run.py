"""A run as it lies in its work dir, also while it trains."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from ..engine.run_records import ENVIRONMENT, PSEUDO_LABELS, VALIDATIONS
from ..engine.stage_files import COMPLETE, STARTED
from ..errors import InputError, MissingFileError
from ..methods.base import PublishedFigures, segmentor_class


@dataclass
class Run:
    """What a run has left.

    Attributes:
        folder (Path): Its work dir.
        name (str): Short and unlike the names of the runs beside it.
        config (Config): Its config.
        config_text (str): The file of it.
        settings (dict): What decides its outcome, of ``started.json``.
        is_complete (bool): Whether it was trained to the end.
        scalars (dict[str, dict[int, float]]): By name and iteration, what was logged in training.
        validations (dict[int, dict[str, float]]): By iteration, mIoU in percent by domain and
            'mean'.
        records (dict[int, dict]): By iteration, what :func:`write_validation` kept.
        environment (dict[str, str]): Versions and hardware; empty if they were not kept.
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
        """The seed; None if the run drew one."""
        return self.config.get('randomness', {}).get('seed')

    @property
    def iterations(self) -> int:
        """How far it has come, as far as was logged."""
        steps = [step for values in self.scalars.values() for step in values]
        return max([*steps, *self.validations], default=0)

    @property
    def best(self) -> int | None:
        """The iteration of the best validation, the first if there are several."""
        steps = sorted(self.validations)
        return max(steps, key=lambda step: self.validations[step]['mean'], default=None)

    @property
    def best_record(self) -> dict | None:
        """What was kept of the best validation, if it was."""
        return None if self.best is None else self.records.get(self.best)

    @property
    def best_checkpoint(self) -> Path | None:
        """The checkpoint of the best validation, if it is still there."""
        found = [
            *self.folder.glob(f'best_*iter_{self.best}.pth'),
            *self.folder.glob(f'iter_{self.best}.pth'),
        ]
        return next(iter(found), None)

    @cached_property
    def published(self) -> PublishedFigures | None:
        """The figures that the method's authors published of the setting that it trains."""
        return segmentor_class(self.config).published_figures(self.config)

    @property
    def generations(self) -> dict[int, Path]:
        """By iteration, the folders with what was kept of the pseudo-labels."""
        return {iteration_of(path): path for path in by_log(self.folder, f'{PSEUDO_LABELS}/iter_*')}


def read_run(folder: str | Path, name: str) -> Run:
    """Read a run.

    Raises:
        MissingFileError: If the folder is none of a run, or nothing has been logged yet.
        InputError: If what it left is damaged.
    """
    folder = Path(folder)
    path = config_file(folder)
    started = folder / STARTED
    if not started.is_file():
        raise MissingFileError(f'{folder} holds no {STARTED}: give a work dir of tools/train.py.')
    lines = read_lines(folder)
    if not lines:
        raise MissingFileError(
            f'{folder} has no figures yet (*/vis_data/scalars.json): wait until some are logged.'
        )
    records = {
        iteration_of(each): read_json(each) for each in by_log(folder, f'{VALIDATIONS}/iter_*.json')
    }
    environments = by_log(folder, ENVIRONMENT)
    return Run(
        folder=folder,
        name=name,
        config=read_config(path),
        config_text=path.read_text(),
        settings=read_settings(started),
        is_complete=(folder / COMPLETE).is_file(),
        scalars=training_scalars(lines),
        validations=validations_of(lines),
        records=records,
        environment=read_json(environments[-1]) if environments else {},
    )


def read_config(path: Path) -> Config:
    """The config of a training.

    Raises:
        InputError: If it is none.
    """
    try:
        config = Config.fromfile(path)
    except Exception as error:
        # whatever the Python of a config may raise
        raise InputError(
            f'The config {path} cannot be read ({type(error).__name__}: {error}): restore or '
            'remove it.'
        ) from error
    if 'model' not in config or 'train_dataloader' not in config:
        raise InputError(f'{path} is no config of a training: move it out of the work dir.')
    return config


def read_settings(path: Path) -> dict[str, Any]:
    """What decides the outcome of a run, of its ``started.json``.

    Raises:
        InputError: If it is damaged.
    """
    started = read_json(path)
    if not isinstance(started, dict) or 'settings' not in started:
        raise InputError(f'{path} is damaged (it has no settings): leave this run out.')
    return started['settings']


def read_json(path: Path) -> dict[str, Any]:
    """What a run wrote of itself.

    Raises:
        InputError: If it is damaged.
    """
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f'{path} is damaged ({error}): remove it.') from error


def config_file(folder: Path) -> Path:
    """The config that a run keeps in its work dir.

    Raises:
        MissingFileError: If there is none.
    """
    if not folder.is_dir():
        raise MissingFileError(f'{folder} does not exist: give the work dir of a run.')
    configs = sorted(folder.glob('*.py'))
    if not configs:
        raise MissingFileError(f'{folder} holds no config: give the work dir of a run.')
    return max(configs, key=lambda path: path.stat().st_mtime)


def by_log(folder: Path, pattern: str) -> list[Path]:
    """Files in the folders of a run's logs, those of the latest start last."""
    return sorted(folder.glob(f'[0-9]*/{pattern}'))


def iteration_of(path: Path) -> int:
    """The number in ``iter_<k>`` or ``iter_<k>.json``."""
    return int(path.stem.removeprefix('iter_'))


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """All that a run has logged, MMEngine's ``<time>/vis_data/scalars.json``, in that order.

    Raises:
        InputError: If a whole line is damaged.
    """
    lines = []
    for path in by_log(folder, 'vis_data/scalars.json'):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            # a run that was killed may leave half a line
            if line.endswith('}'):
                try:
                    lines.append(json.loads(line))
                except ValueError as error:
                    raise InputError(
                        f'{path} is damaged in line {number} ({error}): remove the line.'
                    ) from error
    return lines


def validations_of(lines: list[dict[str, Any]]) -> dict[int, dict[str, float]]:
    """The validations among lines; of an iteration that was validated again, the later one.

    Returns:
        dict[int, dict[str, float]]: By iteration, mIoU in percent by domain and 'mean'.
    """
    prefix = 'mIoU/'
    return {
        line['step']: {
            **{key.removeprefix(prefix): line[key] for key in line if key.startswith(prefix)},
            'mean': line['mIoU'],
        }
        for line in lines
        if 'mIoU' in line
    }


def training_scalars(lines: list[dict[str, Any]]) -> dict[str, dict[int, float]]:
    """What was logged in training, by name and iteration, of an iteration the later."""
    scalars: dict[str, dict[int, float]] = {}
    for line in lines:
        if 'mIoU' not in line:
            for name, value in line.items():
                if isinstance(value, int | float) and np.isfinite(value):
                    scalars.setdefault(name, {})[line['step']] = value
    return scalars


def read_runs(folders: list[str | Path]) -> list[Run]:
    """Read runs; each is named by as much of its path as tells it from the others.

    Raises:
        MissingFileError: See :func:`read_run`.
    """
    paths = list(dict.fromkeys(Path(folder).resolve() for folder in folders))
    return [read_run(path, name) for path, name in zip(paths, short_names(paths))]


def short_names(paths: list[Path]) -> list[str]:
    """Of each path the last parts, as few as no other ends with."""
    names = []
    for path in paths:
        length = 1
        while any(path.parts[-length:] == each.parts[-length:] for each in paths if each != path):
            length += 1
        names.append('/'.join(path.parts[-length:]))
    return names
