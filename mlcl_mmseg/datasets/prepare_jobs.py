"""Copy one image with its label, in the main process or in a worker process."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmcv.transforms import Compose
from PIL import Image

from ..durable_files import write_durably
from ..errors import InputError
from ..untrusted_files import check_regular_file
from .domain import DomainDataset
from .prepared_copy import PreparedCopy, copy_path
from .prepared_manifest import CopiedFile, file_digest

REMEDY = 'start again to continue'
# in bytes: what file systems allow
LONGEST_NAME = 255


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


class Done(NamedTuple):
    """The result of a job.

    Attributes:
        records (tuple[CopiedFile, ...], optional): The new records of the image and, if copied,
            of the label. None if the known records are still valid or the job has failed.
        failure (str): Why an original cannot be copied, which does not concern other jobs; or ''.
    """

    records: tuple[CopiedFile, ...] | None
    failure: str = ''


# the tasks whose samples a worker process copies
shared_tasks: Sequence[Task] = ()


def share(tasks: Sequence[Task]) -> None:
    """Send the tasks to a process once instead of with every job."""
    global shared_tasks
    shared_tasks = tasks


def prepare(job: Job) -> Done:
    """Run one job.

    Raises:
        InputError: If a copy cannot be written, for example because the disk is full.
    """
    task = shared_tasks[job.task]
    originals = [Path(task.copy.source, name) for name in job.names]
    copies = [copy_path(task.copy.root / name) for name in job.names]
    known = [each for each in job.known if each is not None]
    is_there = len(known) == len(copies) and all(map(is_whole, known, copies))
    if is_there and all(each.is_current(path) for each, path in zip(known, originals)):
        return Done(None)
    try:
        for path in originals:
            check_original(path)
        # taken before the originals are read, so that a change in the meantime is noticed later
        states = [(path.stat(), file_digest(path)) for path in originals]
        if is_there and all(each.digest == digest for each, (_, digest) in zip(known, states)):
            # only the time has changed, for example because the data set was moved
            return Done(
                tuple(
                    each._replace(time=state.st_mtime_ns) for each, (state, _) in zip(known, states)
                )
            )
        results = task.domain.run_pipeline(task.transforms, task.domain.get_data_info(job.number))
    except InputError as error:
        return Done(None, str(error))
    # the pipeline returns BGR
    pixels = [results['img'][..., ::-1], results.get('gt_seg_map')]
    return Done(
        tuple(
            CopiedFile(state.st_size, state.st_mtime_ns, digest, write_image(path, each))
            for path, each, (state, digest) in zip(copies, pixels, states)
        )
    )


def check_original(path: Path) -> None:
    """Check that a file can be read and its copy can have a name.

    Raises:
        InputError: If it is not a regular file, or its name is too long.
    """
    check_regular_file(path)
    length = len(os.fsencode(copy_path(path).name))
    if length > LONGEST_NAME:
        raise InputError(
            f'The copy of {path} would have a name of {length} bytes, but at most {LONGEST_NAME} '
            'are possible: shorten the name.'
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
