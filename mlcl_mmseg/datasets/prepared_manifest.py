"""The manifest of a prepared copy, and the digests that it contains."""

import os
import zlib
from pathlib import Path, PurePosixPath
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ..errors import InputError
from ..untrusted_files import REPLACE, check_regular_file

MANIFEST = 'prepared.json'
# version of the format of the manifest
FORMAT = 1
# in bytes: what is read at once to compute a digest
CHUNK = 2**20

Digest = Annotated[int, Field(strict=True, ge=0, lt=2**32)]
Length = Annotated[int, Field(strict=True, gt=0, le=100_000)]


def check_name(name: str) -> str:
    """Check that the name of a file in a manifest cannot lead out of the folder of the copy.

    Raises:
        ValueError: If it can.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or '..' in path.parts or not path.name or '\0' in name:
        raise ValueError(f'{name!r} is not the name of a file in the folder')
    return name


class CopiedFile(NamedTuple):
    """The record of a copied file in the manifest.

    Attributes:
        size (int): Size of the original file in bytes.
        time (int): Time of the last modification of the original, in nanoseconds.
        digest (int): CRC-32 of the original file.
        copy_digest (int): CRC-32 of the copy.
    """

    size: Annotated[int, Field(strict=True, ge=0, lt=2**63)]
    time: Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
    digest: Digest
    copy_digest: Digest

    def is_current(self, path: str | Path) -> bool:
        """Return whether the original still has the same size and time. It is not read."""
        try:
            state = os.stat(path)
        except OSError:
            return False
        return (state.st_size, state.st_mtime_ns) == (self.size, self.time)


class Manifest(BaseModel):
    """The content of the manifest; its fields are described in :class:`PreparedCopy`."""

    model_config = ConfigDict(extra='forbid')

    format: Annotated[int, Field(strict=True, ge=FORMAT, le=FORMAT)]
    source: str
    size: tuple[Length, Length]
    transforms: str
    complete: Annotated[bool, Field(strict=True)]
    files: dict[Annotated[str, AfterValidator(check_name)], CopiedFile]


def file_digest(path: str | Path, remedy: str = REPLACE) -> int:
    """Return the CRC-32 of a file.

    Args:
        path (str | Path): The file.
        remedy (str): What the user can do if it cannot be read, for the error message.

    Raises:
        MissingFileError: If it does not exist.
        InputError: If it cannot be read or is not a regular file.
    """
    check_regular_file(path, remedy)
    digest = 0
    try:
        with open(path, 'rb') as file:
            while chunk := file.read(CHUNK):
                digest = zlib.crc32(chunk, digest)
    except OSError as error:
        raise InputError(f'{path} cannot be read ({error.strerror}): {remedy}.') from error
    return digest
