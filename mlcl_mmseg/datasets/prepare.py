"""Copy the images and labels that a config reads, resized to its working size."""

import io
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmcv.transforms import Compose
from mmengine.config import Config
from mmseg.registry import DATASETS
from PIL import Image
from rich.progress import track

from ..durable_files import PARTIAL, locked_folder, write_durably
from ..errors import InputError
from .config_domains import config_domains
from .domain import DomainDataset
from .prepared_copy import (
    MANIFEST,
    CopiedFile,
    Loading,
    PreparedCopy,
    copy_path,
    file_digest,
    loading_of,
)

# between two manifests: what a run that is killed loses
SECONDS = 10
REMEDY = 'start again to continue'


class Task(NamedTuple):
    """A data set in one role, to be copied.

    Attributes:
        domain (DomainDataset): With an empty pipeline.
        transforms (Compose): Those that load and resize.
        copy (PreparedCopy): Where it goes.
        labelled (bool): Whether labels are copied, too.
    """

    domain: DomainDataset
    transforms: Compose
    copy: PreparedCopy
    labelled: bool

    def names(self, index: int) -> tuple[str, ...]:
        """The paths of an image and, if it is copied, its label below the data set's folder."""
        data_info = self.domain.get_data_info(index)
        keys = ('img_path', 'seg_map_path') if self.labelled else ('img_path',)
        return tuple(os.path.relpath(data_info[key], self.domain.data_root) for key in keys)


class Job(NamedTuple):
    """An image to copy, with its label if that is read.

    Attributes:
        task (int): Number of its task.
        number (int): Of the image in its data set.
        names (tuple[str, ...]): See :meth:`Task.names`.
        known (tuple[CopiedFile | None, ...]): What the manifest has of these.
    """

    task: int
    number: int
    names: tuple[str, ...]
    known: tuple[CopiedFile | None, ...]


class Summary(NamedTuple):
    """What a data set's copy has.

    Attributes:
        source (str): The data set's full path.
        folder (str): The copy's.
        images (int): How many the config reads.
        made (int): How many of these were missing, damaged or out of date.
        size (int): Of all files in bytes.
    """

    source: str
    folder: str
    images: int
    made: int
    size: int


# what a process copies samples of
shared_tasks: Sequence[Task] = ()


def prepare_config(
    config: Config, out: str | Path | None = None, num_workers: int | None = None
) -> tuple[Path, list[Summary]]:
    """Copy all that a config reads at its working size; what is there and up to date stays.

    A run that is interrupted continues when it is started again.

    Args:
        config (Config): Of any stage.
        out (str | Path, optional): Folder of the copies. By default the folder of the data sets
            with the working size behind its name, see :func:`default_folder`.
        num_workers (int, optional): Processes; one a CPU core by default. 0: this one.

    Returns:
        tuple[Path, list[Summary]]: The folder of the copies, and what each data set has there.

    Raises:
        InputError: If a file cannot be read, the disk has not enough room, a folder cannot be
            written or holds something else, another process prepares the same, or no pipeline of
            the config can read a copy.
    """
    found = list(find_domains(config))
    loading = common_loading(config, [loading for _, loading, _ in found])
    out = default_folder(config, loading.size) if out is None else Path(out)
    copies = open_copies(config, [domain for domain, _, _ in found], loading, out)
    tasks = [
        Task(domain, transforms, copies[os.path.abspath(domain.data_root)], each.labelled)
        for domain, each, transforms in found
    ]
    with ExitStack() as locks:
        for copy in copies.values():
            try:
                locks.enter_context(locked_folder(copy.root, 'choose another --out'))
            except OSError as error:
                raise InputError(
                    f'The folder {copy.root} cannot be written ({error.strerror}): choose another '
                    '--out.'
                ) from error
            clean(copy)
        jobs = list(find_jobs(tasks))
        check_room(tasks, jobs, out)
        for task in tasks:
            copy_other_files(task)
        made = run_jobs(tasks, jobs, num_workers)
    return out, [
        Summary(
            copy.source,
            str(copy.root),
            sum(tasks[job.task].copy is copy for job in jobs),
            made.count(copy),
            sum(copy_path(copy.root / name).stat().st_size for name in copy.files),
        )
        for copy in copies.values()
    ]


def find_domains(config: Config) -> Iterator[tuple[DomainDataset, Loading, Compose]]:
    """The data sets of a config that can be read from a copy, how, and by which transforms.

    Whole splits, as the copy serves configs that read other images of these as well.

    Raises:
        InputError: If one is a copy itself.
    """
    for role, domain_config, pipelines in config_domains(config):
        for pipeline in map(Compose, pipelines):
            loading = loading_of(pipeline)
            if loading is None:
                continue
            domain = DATASETS.build(
                {**domain_config, 'role': role, 'pipeline': [], 'indices': None}
            )
            if domain.prepared_copy is not None:
                raise InputError(
                    f'{domain.data_root} is a prepared copy: let data_root or MLCL_DATA_ROOT name '
                    f'the original data, such as {domain.prepared_copy.source}.'
                )
            loading = loading._replace(labelled=loading.labelled and domain.labelled)
            yield domain, loading, Compose(pipeline.transforms[: loading.steps])


def common_loading(config: Config, loadings: Sequence[Loading]) -> Loading:
    """How all pipelines of a config load and resize.

    Raises:
        InputError: If no pipeline can read a copy, or they need different ones.
    """
    if not loadings:
        raise InputError(
            f'No pipeline of {config.filename} begins with LoadImageFromFile, LoadRawLabel and '
            'Resize as in configs/_base_/datasets/domains_7.py: there is nothing to prepare.'
        )
    ways = list(dict.fromkeys(loading.transforms for loading in loadings))
    if len(ways) > 1:
        raise InputError(
            f'The pipelines of {config.filename} load and resize in different ways ({ways[0]} and '
            f'{ways[1]}), but a copy is made in one: make them equal.'
        )
    return loadings[0]


def default_folder(config: Config, size: tuple[int, int]) -> Path:
    """Such as ``data_640x320`` beside ``data``.

    Raises:
        InputError: If the config does not tell where the data sets lie.
    """
    if not config.get('data_root'):
        raise InputError(
            f'{config.filename} has no data_root, the folder of all data sets, beside which copies '
            'lie: choose a folder by --out.'
        )
    return Path('{}_{}x{}'.format(os.path.abspath(config.data_root), *size))


def open_copies(
    config: Config, domains: Sequence[DomainDataset], loading: Loading, out: Path
) -> dict[str, PreparedCopy]:
    """The copies of data sets, by the full path of the data set.

    Raises:
        InputError: If a place is taken by something else.
    """
    copies: dict[str, PreparedCopy] = {}
    for source in dict.fromkeys(os.path.abspath(domain.data_root) for domain in domains):
        root = out / folder_name(config, source)
        owner = next((each.source for each in copies.values() if each.root == root), None)
        if owner is not None:
            raise InputError(
                f'{source} and {owner} would share {root}: give one of the two folders another '
                'name.'
            )
        new = PreparedCopy(root, source, loading.size, loading.transforms, {}, complete=False)
        copies[source] = PreparedCopy.read(root) or new
        check_same(copies[source], new)
    return copies


def folder_name(config: Config, source: str) -> str:
    """A data set's folder below the config's ``data_root``; its name if it lies elsewhere."""
    root = os.path.abspath(config.get('data_root') or os.path.dirname(source))
    inside = os.path.commonpath([root, source]) == root
    return os.path.relpath(source, root) if inside else os.path.basename(source)


def check_same(found: PreparedCopy, new: PreparedCopy) -> None:
    """Check that a folder is free, or holds a copy of the same data set at the same size.

    Raises:
        InputError: If it holds something else.
    """
    root = new.root
    if found is new and root.is_dir() and any(each.name[0] != '.' for each in root.iterdir()):
        raise InputError(f'{root} holds files that are no prepared copy: choose another --out.')
    if found.source != new.source:
        raise InputError(
            f'{root} is a copy of {found.source}, not of {new.source}: choose another --out, or '
            'remove it.'
        )
    if found.transforms != new.transforms:
        raise InputError(
            f'{root} was made by {found.transforms}, but {new.transforms} is wanted: choose '
            'another --out, or remove it.'
        )


def clean(copy: PreparedCopy) -> None:
    """Remove what a killed run was writing, and copies whose original is no longer there."""
    for partial in copy.root.rglob(f'.*{PARTIAL}'):
        partial.unlink()
    for name in [name for name in copy.files if not Path(copy.source, name).is_file()]:
        del copy.files[name]
        copy_path(copy.root / name).unlink(missing_ok=True)
        copy.complete = False


def find_jobs(tasks: Sequence[Task]) -> Iterator[Job]:
    """Every image once, with its label if any role reads that.

    Raises:
        InputError: If a file lies outside its data set's folder.
    """
    seen = set()
    for number in sorted(range(len(tasks)), key=lambda number: not tasks[number].labelled):
        task = tasks[number]
        for index in range(len(task.domain)):
            names = task.names(index)
            if (task.copy.source, names[0]) in seen:
                continue
            seen.add((task.copy.source, names[0]))
            outside = [name for name in names if name.startswith('..')]
            if outside:
                raise InputError(
                    f'{outside[0]} lies outside {task.copy.source}: set data_root of '
                    f'{task.domain.domain!r} to a folder that holds images and labels.'
                )
            yield Job(number, index, names, tuple(map(task.copy.files.get, names)))


def check_room(tasks: Sequence[Task], jobs: Sequence[Job], out: Path) -> None:
    """Check that the disk can hold what is missing.

    Raises:
        InputError: If it cannot.
    """
    needed = 0
    for job in jobs:
        width, height = tasks[job.task].copy.size
        # an image has three bytes a pixel, a label one
        for channels, known in zip((3, 1), job.known):
            needed += width * height * channels if known is None else 0
    free = shutil.disk_usage(out).free
    if needed > free:
        raise InputError(
            f'{out} needs {needed / 1e9:.1f} GB more and has {free / 1e9:.1f} GB: make room, or '
            'choose another --out.'
        )


def run_jobs(
    tasks: Sequence[Task], jobs: Sequence[Job], num_workers: int | None
) -> list[PreparedCopy]:
    """Do all jobs, with a progress bar, and write the manifests from time to time.

    Returns:
        list[PreparedCopy]: For each image that had to be made, where it is.

    Raises:
        InputError: If a file cannot be read, or a process is ended from outside.
    """
    made: list[PreparedCopy] = []
    copies = {task.copy.source: task.copy for task in tasks}.values()

    def finish(complete: bool = False) -> None:
        for copy in copies:
            if copy in made or not copy.complete:
                copy.complete = complete
                write_durably(copy.root / MANIFEST, copy.content(), REMEDY)

    # marks new folders as copies before anything is in them
    finish()

    with ExitStack() as stack:
        share(tasks)
        run: Callable[..., Iterable] = map
        if num_workers != 0:
            pool = ProcessPoolExecutor(num_workers, initializer=share, initargs=(tasks,))
            stack.callback(pool.shutdown, cancel_futures=True)
            run = pool.map
        finished = time.monotonic() - SECONDS
        try:
            for found, job in zip(track(run(prepare, jobs), 'Preparing', total=len(jobs)), jobs):
                if found is None:
                    continue
                tasks[job.task].copy.files.update(zip(job.names, found))
                made.append(tasks[job.task].copy)
                if time.monotonic() - finished > SECONDS:
                    finish()
                    finished = time.monotonic()
        except BrokenProcessPool as error:
            raise InputError(
                'A process that prepares images was ended, most likely as memory was short: use '
                'fewer --workers.'
            ) from error
        finally:
            # what was made stays, also when a file cannot be read
            finish()
        finish(complete=True)
    return made


def share(tasks: Sequence[Task]) -> None:
    """Give a process its tasks once, not with every job."""
    global shared_tasks
    shared_tasks = tasks


def prepare(job: Job) -> tuple[CopiedFile, ...] | None:
    """Do one job.

    Returns:
        tuple[CopiedFile, ...]: The new records of the image and, if it is copied, the label; None
        if the known ones hold.

    Raises:
        InputError: If a file cannot be read or the disk is full.
    """
    task = shared_tasks[job.task]
    originals = [Path(task.copy.source, name) for name in job.names]
    copies = [copy_path(task.copy.root / name) for name in job.names]
    known = [each for each in job.known if each is not None]
    is_there = len(known) == len(copies) and all(map(is_whole, known, copies))
    if is_there and all(each.is_current(path) for each, path in zip(known, originals)):
        return None
    # before they are read: if they change meanwhile, that is seen
    states = [(path.stat(), file_digest(path)) for path in originals]
    if is_there and all(each.digest == digest for each, (_, digest) in zip(known, states)):
        # only the time is another, as after the data set was moved
        return tuple(
            each._replace(time=state.st_mtime_ns) for each, (state, _) in zip(known, states)
        )
    results = task.domain.run_pipeline(task.transforms, task.domain.get_data_info(job.number))
    # the pipeline has BGR
    pixels = [results['img'][..., ::-1], results.get('gt_seg_map')]
    return tuple(
        CopiedFile(state.st_size, state.st_mtime_ns, digest, write_image(path, each))
        for path, each, (state, digest) in zip(copies, pixels, states)
    )


def write_image(path: Path, pixels: np.ndarray) -> int:
    """Write an image as BMP, whole or not at all.

    Returns:
        int: CRC-32 of the file.
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'BMP')
    write_durably(path, file.getvalue(), REMEDY)
    return file_digest(path)


def is_whole(known: CopiedFile, copy: Path) -> bool:
    """Whether a copy is there as it was written."""
    return copy.is_file() and file_digest(copy) == known.copy_digest


def copy_other_files(task: Task) -> None:
    """Copy what a data set needs beside images and labels, such as a list of its splits."""
    for name in task.domain.other_files:
        original = Path(task.copy.source, name)
        if original.is_file():
            write_durably(task.copy.root / name, original.read_bytes(), REMEDY)
