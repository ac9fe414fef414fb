"""Pixels at the working size on disk, as they are, for random access."""

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..durable_files import full_disk_is_told, write_durably
from ..errors import InputError

# of the files; what another version left is made anew
FORMAT = 1
PREPARE = 'python tools/dataset_converters/prepare.py CONFIG'
REMEDY = f'run {PREPARE} again, or remove the folder'


class Record(NamedTuple):
    """Where an image or label is, and what it was made of.

    Attributes:
        number (int): Its place in the file.
        checksum (int): CRC-32 of its pixels.
        file_size (int): Of the file it was made of, in bytes.
        file_time (int): When that was last changed, in nanoseconds.
        height (int): Of what is in that file, in pixels.
        width (int): Likewise.
    """

    number: int
    checksum: int
    file_size: int
    file_time: int
    height: int
    width: int

    def is_made_of(self, path: str | Path) -> bool:
        """Whether a file is still the one that this was made of."""
        return (self.file_size, self.file_time) == file_state(path)


def file_state(path: str | Path) -> tuple[int, int] | None:
    """The size of a file and when it was last changed; None if it is not there."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns


class PreparedFiles:
    """Images or labels of one shape, resized.

    ``<path>.bin`` holds their pixels one after the other, ``<path>.json`` says which is which. It
    is written after the pixels that it speaks of have been flushed.

    Args:
        path (Path): Of both files, without suffix.
        shape (tuple[int, ...]): Of each array of uint8.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.pixels_path = path.with_suffix('.bin')
        self.manifest_path = path.with_suffix('.json')
        self.shape = tuple(shape)
        self._descriptor: int | None = None

    def __getstate__(self) -> dict:
        """A file is opened by each process that reads it."""
        return {**self.__dict__, '_descriptor': None}

    def __del__(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)

    @property
    def record_size(self) -> int:
        """Of one record, in bytes."""
        return int(np.prod(self.shape))

    def records(self) -> dict[str, Record]:
        """All records by the name of what each was made of; empty if nothing is prepared.

        Raises:
            InputError: If the manifest cannot be understood, or tells of another shape.
        """
        try:
            content = json.loads(self.manifest_path.read_bytes())
            if [content['format'], *content['shape']] != [FORMAT, *self.shape]:
                raise ValueError(f'format {content["format"]}, shape {content["shape"]}')
            return {name: Record(*map(int, each)) for name, each in content['records'].items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise InputError(
                f'{self.manifest_path} cannot be understood ({error}): {REMEDY}.'
            ) from error

    def read(self, record: Record, name: str) -> np.ndarray:
        """The pixels of a record.

        Args:
            record (Record): Which.
            name (str): What it was made of, for the message.

        Returns:
            np.ndarray: Of ``shape``, uint8.

        Raises:
            InputError: If they are not what was written.
        """
        pixels = np.empty(self.shape, np.uint8)
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self.pixels_path, os.O_RDONLY)
            # unlike a memory map, it raises where the disk fails
            count = os.preadv(self._descriptor, [pixels.data], record.number * pixels.nbytes)
        except OSError as error:
            raise InputError(
                f'{self.pixels_path} cannot be read ({error.strerror}): {REMEDY}.'
            ) from error
        if count < pixels.nbytes or zlib.crc32(pixels.data) != record.checksum:
            raise InputError(
                f'{self.pixels_path} is damaged where it holds {name} '
                f'(record {record.number}): {REMEDY}.'
            )
        return pixels

    def write(self, number: int, pixels: np.ndarray) -> int:
        """Write a record, which counts when :meth:`finish` names it.

        Args:
            number (int): Its place.
            pixels (np.ndarray): Of ``shape``, uint8.

        Returns:
            int: Its checksum.

        Raises:
            InputError: If the disk is full.
        """
        pixels = np.ascontiguousarray(pixels)
        if pixels.shape != self.shape or pixels.dtype != np.uint8:
            raise ValueError(f'{pixels.dtype} of shape {pixels.shape} is not {self.shape}')
        with full_disk_is_told(self.pixels_path, 'start again to go on'):
            descriptor = os.open(self.pixels_path, os.O_WRONLY | os.O_CREAT, 0o666)
            try:
                left, place = pixels.data.cast('B'), number * pixels.nbytes
                while left:
                    written = os.pwrite(descriptor, left, place)
                    left, place = left[written:], place + written
            finally:
                os.close(descriptor)
        return zlib.crc32(pixels.data)

    def finish(self, records: Mapping[str, Record]) -> None:
        """Flush the pixels, then write the manifest.

        Args:
            records (Mapping[str, Record]): All of them by name.

        Raises:
            InputError: If the disk is full.
        """
        if not records:
            return
        with full_disk_is_told(self.pixels_path, 'start again to go on'):
            descriptor = os.open(self.pixels_path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        content = json.dumps(dict(format=FORMAT, shape=self.shape, records=records))
        write_durably(self.manifest_path, content.encode())
