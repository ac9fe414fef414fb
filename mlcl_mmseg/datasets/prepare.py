"""Prepare the images and labels that a config reads: resize each once, and keep it."""

import logging
import os
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.logging import print_log
from mmseg.registry import DATASETS
from rich.progress import track

from ..durable_files import locked_folder
from ..errors import InputError
from .domain import DomainDataset
from .full_check import validation_loaders
from .prepared import Preparation, loading_of, prepared_root
from .prepared_files import PreparedFiles, Record

# between manifests: what a run that is killed loses
SECONDS = 10


class Job(NamedTuple):
    """An image to prepare, with its label if that is read.

    Attributes:
        task (int): Number of its task.
        index (int): Of the image in its data set.
        numbers (tuple[int, ...]): Places of the image's record, and the label's.
        known (tuple[Record | None, ...]): Records that are there, to be checked.
    """

    task: int
    index: int
    numbers: tuple[int, ...]
    known: tuple[Record | None, ...]


class Task(NamedTuple):
    """A data set in one role, and how it is loaded.

    Attributes:
        domain (DomainDataset): With an empty pipeline.
        transforms (Compose): The loading ones.
        preparation (Preparation): Where it goes.
        labelled (bool): Whether labels are loaded.
    """

    domain: DomainDataset
    transforms: Compose
    preparation: Preparation
    labelled: bool

    def files(self, index: int) -> list[tuple[PreparedFiles, str]]:
        """The image at an index, and its label if that is loaded: where to put it, its path."""
        data_info = self.domain.get_data_info(index)
        paths = [data_info['img_path'], *([data_info['seg_map_path']] if self.labelled else [])]
        return [*zip(self.preparation.files, paths)]


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
        InputError: If a file cannot be read, the disk has not enough room, another process
            prepares the same, or no pipeline of the config loads as a preparation does.
    """
    tasks = list(tasks_of(config, root))
    if not tasks:
        raise InputError(
            f'No pipeline of {config.filename} begins with LoadImageFromFile, LoadRawLabel and '
            'Resize as in configs/_base_/datasets/domains_7.py: there is nothing to prepare.'
        )
    preparations = {task.preparation.folder: task.preparation for task in tasks}
    with ExitStack() as locks:
        for folder in preparations:
            locks.enter_context(locked_folder(folder, 'choose another --out'))
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


def known_records(files: PreparedFiles) -> dict[str, Record]:
    """What is there; nothing if the manifest is damaged."""
    try:
        return files.records()
    except InputError as error:
        print_log(f'{error} It is made anew.', logger='current', level=logging.WARNING)
        return {}


def tasks_of(config: Config, root: str | Path | None) -> Iterator[Task]:
    """The data sets of a config whose pipelines begin as a preparation does."""
    train = config.train_dataloader.dataset
    found = [('source', train.source, train.source_pipeline)]
    found += [('target', target, train.target_pipeline) for target in train.get('targets') or []]
    for loader in validation_loaders(config):
        found += [('validation', each, loader.dataset.pipeline) for each in loader.dataset.domains]
    seen = []
    for role, domain_config, pipeline in found:
        pipeline = Compose(pipeline)
        loading = loading_of(pipeline)
        if loading is None or (role, domain_config, loading) in seen:
            continue
        seen.append((role, domain_config, loading))
        domain = DATASETS.build({**domain_config, 'role': role, 'pipeline': []})
        folder = prepared_root(domain.data_root) if root is None else Path(root)
        if folder is None:
            raise InputError('MLCL_PREPARED_ROOT is empty: unset it, or choose a folder by --out.')
        yield Task(
            domain,
            Compose(pipeline.transforms[: loading.steps]),
            Preparation(folder, domain.data_root, loading.size),
            loading.labelled and domain.labelled,
        )


def jobs_of(tasks: Sequence[Task], records: dict[Path, dict[str, Record]]) -> Iterator[Job]:
    """Every image once, labelled ones first; what is new gets the places behind what is there."""
    places = {
        path: 1 + max((record.number for record in known.values()), default=-1)
        for path, known in records.items()
    }
    seen = set()
    for number in sorted(range(len(tasks)), key=lambda number: not tasks[number].labelled):
        for index in range(len(tasks[number].domain)):
            files = tasks[number].files(index)
            if (files[0][0].manifest_path, files[0][1]) in seen:
                continue
            seen.add((files[0][0].manifest_path, files[0][1]))
            numbers, known = [], []
            for prepared, path in files:
                name = tasks[number].preparation.name(path)
                record = records[prepared.manifest_path].get(name)
                if record is None:
                    numbers.append(places[prepared.manifest_path])
                    places[prepared.manifest_path] += 1
                else:
                    numbers.append(record.number)
                known.append(record)
            yield Job(number, index, tuple(numbers), tuple(known))


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
        for preparation in {task.preparation.folder: task.preparation for task in tasks}.values():
            for files in preparation.files if made[preparation.folder] else ():
                files.finish(records[files.manifest_path])

    with ExitStack() as stack:
        share(tasks)
        run = map
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
