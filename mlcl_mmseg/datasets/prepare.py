"""Prepare the images and labels that a config reads: resize each once, and keep it."""

import logging
import os
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config
from mmengine.logging import print_log
from rich.progress import track

from ..durable_files import locked_folder
from ..errors import InputError
from .preparation_jobs import Job, Task, jobs_of, tasks_of
from .prepared import Preparation
from .prepared_files import PreparedFiles, Record

# between manifests: what a run that is killed loses
SECONDS = 10


class Summary(NamedTuple):
    """What has been prepared.

    Attributes:
        folder (str): Where.
        images (int): All of the config.
        made (int): Of these, how many were not there, or damaged, or have changed.
        size (int): In bytes, labels included.
    """

    folder: str
    images: int
    made: int
    size: int


# what a process prepares samples of
shared_tasks: Sequence[Task] = ()


def prepare_config(
    config: Config, root: str | Path | None = None, num_workers: int | None = None
) -> list[Summary]:
    """Prepare all that a config reads at working size; what is there and whole stays.

    A run that is interrupted goes on where it was when it is started again.

    Args:
        config (Config): Of any stage.
        root (str | Path, optional): The folder of all preparations. By default where
            :func:`prepared_root` looks for them.
        num_workers (int, optional): Processes; one a CPU core by default. 0: this one.

    Returns:
        list[Summary]: One a folder.

    Raises:
        InputError: If a file cannot be read, the disk has not enough room, a folder cannot be
            written, another process prepares the same, or no pipeline of the config loads as a
            preparation does.
    """
    tasks = list(tasks_of(config, root))
    if not tasks:
        raise InputError(
            f'No pipeline of {config.filename} begins with LoadImageFromFile, LoadRawLabel and '
            'Resize as in configs/_base_/datasets/domains_7.py: there is nothing to prepare.'
        )
    preparations = preparations_of(tasks)
    with ExitStack() as locks:
        for folder in preparations:
            try:
                locks.enter_context(locked_folder(folder, 'choose another --out'))
            except OSError as error:
                raise InputError(
                    f'The folder {folder} cannot be written ({error.strerror}): choose another '
                    '--out.'
                ) from error
        records = {
            files.manifest_path: known_records(files)
            for each in preparations.values()
            for files in each.files
        }
        jobs = list(jobs_of(tasks, records))
        check_room(tasks, jobs)
        made = run_jobs(tasks, jobs, records, num_workers)
    count = Counter(tasks[job.task].preparation.folder for job in jobs)
    return [
        Summary(
            str(folder),
            count[folder],
            made[folder],
            sum(path.stat().st_size for path in folder.glob('*.bin')),
        )
        for folder in preparations
    ]


def preparations_of(tasks: Sequence[Task]) -> dict[Path, Preparation]:
    """The preparations that tasks add to, by folder."""
    return {task.preparation.folder: task.preparation for task in tasks}


def known_records(files: PreparedFiles) -> dict[str, Record]:
    """What is there; nothing if the manifest is damaged."""
    try:
        return files.records()
    except InputError as error:
        print_log(f'{error} It is made anew.', logger='current', level=logging.WARNING)
        return {}


def check_room(tasks: Sequence[Task], jobs: Sequence[Job]) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        InputError: If so.
    """
    needed: Counter[Path] = Counter()
    for job in jobs:
        preparation = tasks[job.task].preparation
        for files, known in zip(preparation.files, job.known):
            needed[preparation.folder] += files.record_size if known is None else 0
    devices = defaultdict(list)
    for folder in needed:
        devices[folder.stat().st_dev].append(folder)
    for folders in devices.values():
        size, free = sum(needed[each] for each in folders), shutil.disk_usage(folders[0]).free
        if size > free:
            raise InputError(
                f'{folders[0].parents[1]} needs {size / 1e9:.1f} GB more and has {free / 1e9:.1f} '
                'GB: make room, or choose another --out.'
            )


def run_jobs(
    tasks: Sequence[Task],
    jobs: Sequence[Job],
    records: dict[Path, dict[str, Record]],
    num_workers: int | None,
) -> Counter[Path]:
    """Do all jobs, with a progress bar, and write the manifests from time to time.

    Returns:
        Counter[Path]: By folder, how many images had to be made.
    """
    made: Counter[Path] = Counter()

    def finish() -> None:
        for folder, preparation in preparations_of(tasks).items():
            for files in preparation.files if made[folder] else ():
                files.finish(records[files.manifest_path])

    with ExitStack() as stack:
        share(tasks)
        run: Callable[..., Iterable] = map
        if num_workers != 0:
            pool = ProcessPoolExecutor(num_workers, initializer=share, initargs=(tasks,))
            stack.callback(pool.shutdown, cancel_futures=True)
            run = pool.map
        # also when a file cannot be read: what was made stays
        stack.callback(finish)
        finished = time.monotonic()
        for found, job in zip(track(run(prepare, jobs), 'Preparing', total=len(jobs)), jobs):
            if found is None:
                continue
            task = tasks[job.task]
            for (files, path), record in zip(task.files(job.index), found):
                records[files.manifest_path][task.preparation.name(path)] = record
            made[task.preparation.folder] += 1
            if time.monotonic() - finished > SECONDS:
                finish()
                finished = time.monotonic()
    return made


def share(tasks: Sequence[Task]) -> None:
    """Give a process its tasks once, not with every job."""
    global shared_tasks
    shared_tasks = tasks


def prepare(job: Job) -> tuple[Record, ...] | None:
    """Do one job.

    Returns:
        tuple[Record, ...]: Of the image, and of the label if it is loaded; None if what was known
        is whole and the files have not changed.

    Raises:
        InputError: If a file cannot be read.
    """
    task = shared_tasks[job.task]
    files = task.files(job.index)
    if all(map(is_whole, files, job.known)):
        return None
    # before they are read: if they change meanwhile, that is seen
    states = [os.stat(path) for _, path in files]
    results = task.domain.run_pipeline(task.transforms, task.domain.get_data_info(job.index))
    return tuple(
        Record(
            number,
            prepared.write(number, pixels),
            state.st_size,
            state.st_mtime_ns,
            *results['ori_shape'],
        )
        for number, (prepared, _), pixels, state in zip(
            job.numbers, files, (results['img'], results.get('gt_seg_map')), states
        )
    )


def is_whole(file: tuple[PreparedFiles, str], record: Record | None) -> bool:
    """Whether a record is there, of the file as it is now, and undamaged."""
    prepared, path = file
    if record is None or not record.is_made_of(path):
        return False
    try:
        prepared.read(record, path)
    except InputError:
        return False
    return True
