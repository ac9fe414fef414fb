"""Copy the images and labels that a config reads, resized to its working size."""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config
from rich.progress import track

from ..durable_files import PARTIAL, locked_folder, write_durably
from ..errors import InputError
from ..interruption import start_worker
from ..untrusted_files import read_file
from .prepare_folders import common_loading, default_folder, find_domains, open_copies
from .prepare_jobs import REMEDY, Done, Job, Task, prepare, share
from .prepared_copy import PreparedCopy, copy_path
from .prepared_manifest import MANIFEST

# interval at which manifests are written: a killed run loses at most this much work
SECONDS = 10
# in bytes; a list of the splits of a data set has a few hundred kilobytes
LARGEST_OTHER_FILE = 2**30


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


class Prepared(NamedTuple):
    """What :func:`prepare_config` has done.

    Attributes:
        folder (Path): The folder of the copies.
        copies (list[Summary]): A summary of each copy.
        failures (list[str]): One sentence for each image that could not be copied. Their copies
            are incomplete.
    """

    folder: Path
    copies: list[Summary]
    failures: list[str]


def prepare_config(
    config: Config, out: str | Path | None = None, num_workers: int | None = None
) -> Prepared:
    """Copy all images and labels that a config reads at its working size.

    Copies that exist and are up to date are kept. An interrupted run continues when it is started
    again. An image that cannot be read does not stop it.

    Args:
        config (Config): The config of any stage.
        out (str | Path, optional): Folder of the copies. Defaults to the folder of the data sets
            followed by the working size, see :func:`default_folder`.
        num_workers (int, optional): Number of processes. Defaults to one for each CPU core. If 0,
            only the current process is used.

    Returns:
        Prepared: The folder of the copies, a summary of each copy and what has failed.

    Raises:
        InputError: If a data set is incomplete, the disk has too little free space, a folder cannot
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
        made, failures = run_jobs(tasks, jobs, num_workers)
    summaries = [
        Summary(
            copy.source,
            str(copy.root),
            sum(tasks[job.task].copy is copy for job in jobs),
            made.count(copy),
            sum(copy_path(copy.root / name).stat().st_size for name in copy.files),
        )
        for copy in copies.values()
    ]
    return Prepared(out, summaries, failures)


def clean(copy: PreparedCopy) -> None:
    """Remove partial files of a killed run, and copies whose original no longer exists.

    Raises:
        InputError: If the folder contains a symbolic link, through which files elsewhere would be
            written or removed.
    """
    for folder, folders, names in os.walk(copy.root):
        for path in (Path(folder, name) for name in (*folders, *names)):
            if path.is_symlink():
                raise InputError(
                    f'{path} is a symbolic link, which no copy contains: remove it, or choose '
                    'another --out.'
                )
            if path.name.startswith(PARTIAL):
                path.unlink()
    for name in [name for name in copy.files if not os.path.isfile(Path(copy.source, name))]:
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
) -> tuple[list[PreparedCopy], list[str]]:
    """Run all jobs with a progress bar, and write the manifests from time to time.

    Returns:
        tuple[list[PreparedCopy], list[str]]: For each image that was written, the copy that it
        belongs to; and the failures.

    Raises:
        InputError: If a copy cannot be written, or a process is killed from outside.
    """
    made: list[PreparedCopy] = []
    failed: list[PreparedCopy] = []
    failures: list[str] = []
    copies = {task.copy.source: task.copy for task in tasks}.values()

    def write_manifests(complete: bool = False) -> None:
        for copy in copies:
            if copy in made or copy in failed or not copy.complete:
                copy.complete = complete and copy not in failed
                write_durably(copy.root / MANIFEST, copy.content(), REMEDY)

    # mark new folders as copies before any file is written to them
    write_manifests()
    written = time.monotonic() - SECONDS
    try:
        for job, done in zip(jobs, run_all(tasks, jobs, num_workers)):
            copy = tasks[job.task].copy
            if done.failure:
                failed.append(copy)
                failures.append(done.failure)
            elif done.records is not None:
                copy.files.update(zip(job.names, done.records))
                made.append(copy)
                if time.monotonic() - written > SECONDS:
                    write_manifests()
                    written = time.monotonic()
    finally:
        # keep the finished copies, also when the disk is full
        write_manifests()
    write_manifests(complete=True)
    return made, failures


def run_all(tasks: Sequence[Task], jobs: Sequence[Job], num_workers: int | None) -> Iterator[Done]:
    """Yield the result of each job, in order.

    Raises:
        InputError: If a process is killed from outside, or as :func:`prepare` does.
    """
    with ExitStack() as stack:
        share(tasks)
        run: Callable[..., Iterable] = map
        if num_workers != 0:
            pool = ProcessPoolExecutor(
                num_workers, initializer=start_worker, initargs=(share, tasks)
            )
            stack.callback(pool.shutdown, cancel_futures=True)
            run = pool.map
        try:
            yield from track(run(prepare, jobs), 'Preparing', total=len(jobs))
        except BrokenProcessPool as error:
            raise InputError(
                'A process that prepares images was killed, most likely for lack of memory: use '
                'fewer --workers.'
            ) from error


def copy_other_files(task: Task) -> None:
    """Copy other files that a data set needs, such as a list of its splits."""
    for name in task.domain.other_files:
        original = Path(task.copy.source, name)
        if os.path.isfile(original):
            content = read_file(original, LARGEST_OTHER_FILE)
            write_durably(task.copy.root / name, content, REMEDY)
