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
from PIL import Image
from rich.progress import track

from ..durable_files import PARTIAL, locked_folder, write_durably
from ..errors import InputError
from .domain import DomainDataset
from .prepare_folders import common_loading, default_folder, find_domains, open_copies
from .prepared_copy import (
    MANIFEST,
    CopiedFile,
    PreparedCopy,
    copy_path,
    file_digest,
)

# interval at which manifests are written: a killed run loses at most this much work
SECONDS = 10
REMEDY = 'start again to continue'


class Task(NamedTuple):
    """A data set in one role, to be copied.

    Attributes:
        domain (DomainDataset): The data set, with an empty pipeline.
        transforms (Compose): The transforms that load and resize.
        copy (PreparedCopy): The copy to write.
        labelled (bool): Whether labels are copied as well.
    """

    domain: DomainDataset
    transforms: Compose
    copy: PreparedCopy
    labelled: bool

    def names(self, index: int) -> tuple[str, ...]:
        """Return the paths of an image and, if copied, its label relative to the data set."""
        data_info = self.domain.get_data_info(index)
        keys = ('img_path', 'seg_map_path') if self.labelled else ('img_path',)
        return tuple(os.path.relpath(data_info[key], self.domain.data_root) for key in keys)


class Job(NamedTuple):
    """An image to copy, with its label if the label is read.

    Attributes:
        task (int): Index of its task.
        number (int): Index of the image in its data set.
        names (tuple[str, ...]): See :meth:`Task.names`.
        known (tuple[CopiedFile | None, ...]): The records of these files in the manifest.
    """

    task: int
    number: int
    names: tuple[str, ...]
    known: tuple[CopiedFile | None, ...]


class Summary(NamedTuple):
    """The contents of the copy of a data set.

    Attributes:
        source (str): Absolute path of the data set.
        folder (str): Path of the copy.
        images (int): Number of images that the config reads.
        made (int): Number of these images that were missing, damaged or out of date.
        size (int): Size of all files in bytes.
    """

    source: str
    folder: str
    images: int
    made: int
    size: int


# the tasks whose samples a worker process copies
shared_tasks: Sequence[Task] = ()


def prepare_config(
    config: Config, out: str | Path | None = None, num_workers: int | None = None
) -> tuple[Path, list[Summary]]:
    """Copy all images and labels that a config reads at its working size.

    Copies that exist and are up to date are kept. An interrupted run continues when it is started
    again.

    Args:
        config (Config): The config of any stage.
        out (str | Path, optional): Folder of the copies. Defaults to the folder of the data sets
            followed by the working size, see :func:`default_folder`.
        num_workers (int, optional): Number of processes. Defaults to one for each CPU core. If 0,
            only the current process is used.

    Returns:
        tuple[Path, list[Summary]]: The folder of the copies, and a summary of each copy.

    Raises:
        InputError: If a file cannot be read, the disk has too little free space, a folder cannot
            be written or contains other files, another process writes the same copy, or no
            pipeline of the config can read a copy.
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


def clean(copy: PreparedCopy) -> None:
    """Remove partial files of a killed run, and copies whose original no longer exists."""
    for partial in copy.root.rglob(f'{PARTIAL}*'):
        partial.unlink()
    for name in [name for name in copy.files if not Path(copy.source, name).is_file()]:
        del copy.files[name]
        copy_path(copy.root / name).unlink(missing_ok=True)
        copy.complete = False


def find_jobs(tasks: Sequence[Task]) -> Iterator[Job]:
    """Yield every image once, with its label if any role reads the label.

    Raises:
        InputError: If a file is outside the folder of its data set.
    """
    seen: set[tuple[str, str]] = set()
    for number in sorted(range(len(tasks)), key=lambda number: not tasks[number].labelled):
        task = tasks[number]
        for index in range(len(task.domain)):
            names = task.names(index)
            files = {(task.copy.source, name) for name in names}
            if files <= seen:
                continue
            seen |= files
            outside = [name for name in names if name.startswith('..')]
            if outside:
                raise InputError(
                    f'{outside[0]} is outside {task.copy.source}: set data_root of '
                    f'{task.domain.domain!r} to a folder that contains both images and labels.'
                )
            yield Job(number, index, names, tuple(map(task.copy.files.get, names)))


def check_room(tasks: Sequence[Task], jobs: Sequence[Job], out: Path) -> None:
    """Check that the disk has enough free space for the missing copies.

    Raises:
        InputError: If it has not.
    """
    needed = 0
    for job in jobs:
        width, height = tasks[job.task].copy.size
        # an image takes three bytes a pixel and a label takes one
        for channels, known in zip((3, 1), job.known):
            needed += width * height * channels if known is None else 0
    free = shutil.disk_usage(out).free
    if needed > free:
        raise InputError(
            f'{out} needs {needed / 1e9:.1f} GB more, but only {free / 1e9:.1f} GB are free: free '
            'some space, or choose another --out.'
        )


def run_jobs(
    tasks: Sequence[Task], jobs: Sequence[Job], num_workers: int | None
) -> list[PreparedCopy]:
    """Run all jobs with a progress bar, and write the manifests from time to time.

    Returns:
        list[PreparedCopy]: For each image that was written, the copy that it belongs to.

    Raises:
        InputError: If a file cannot be read, or a process is killed from outside.
    """
    made: list[PreparedCopy] = []
    copies = {task.copy.source: task.copy for task in tasks}.values()

    def finish(complete: bool = False) -> None:
        for copy in copies:
            if copy in made or not copy.complete:
                copy.complete = complete
                write_durably(copy.root / MANIFEST, copy.content(), REMEDY)

    # mark new folders as copies before any file is written to them
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
                'A process that prepares images was killed, most likely for lack of memory: use '
                'fewer --workers.'
            ) from error
        finally:
            # keep the finished copies, also when a file cannot be read
            finish()
        finish(complete=True)
    return made


def share(tasks: Sequence[Task]) -> None:
    """Send the tasks to a process once instead of with every job."""
    global shared_tasks
    shared_tasks = tasks


def prepare(job: Job) -> tuple[CopiedFile, ...] | None:
    """Run one job.

    Returns:
        tuple[CopiedFile, ...]: The new records of the image and, if copied, of the label. None if
        the known records are still valid.

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
    # taken before the originals are read, so that a change in the meantime is noticed later
    states = [(path.stat(), file_digest(path)) for path in originals]
    if is_there and all(each.digest == digest for each, (_, digest) in zip(known, states)):
        # only the time has changed, for example because the data set was moved
        return tuple(
            each._replace(time=state.st_mtime_ns) for each, (state, _) in zip(known, states)
        )
    results = task.domain.run_pipeline(task.transforms, task.domain.get_data_info(job.number))
    # the pipeline returns BGR
    pixels = [results['img'][..., ::-1], results.get('gt_seg_map')]
    return tuple(
        CopiedFile(state.st_size, state.st_mtime_ns, digest, write_image(path, each))
        for path, each, (state, digest) in zip(copies, pixels, states)
    )


def write_image(path: Path, pixels: np.ndarray) -> int:
    """Write an image as BMP, either completely or not at all.

    Returns:
        int: CRC-32 of the file.
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'BMP')
    write_durably(path, file.getvalue(), REMEDY)
    return file_digest(path)


def is_whole(known: CopiedFile, copy: Path) -> bool:
    """Return whether a copy exists and is undamaged."""
    return copy.is_file() and file_digest(copy) == known.copy_digest


def copy_other_files(task: Task) -> None:
    """Copy other files that a data set needs, such as a list of its splits."""
    for name in task.domain.other_files:
        original = Path(task.copy.source, name)
        if original.is_file():
            write_durably(task.copy.root / name, original.read_bytes(), REMEDY)
