"""Soft pseudo-labels on disk, with one file per image and one folder per generation.

A file is named ``<root>/iter_<k>/<domain>/<sample name>.soft`` and contains (C, h, w) class
probabilities at feature resolution, encoded by :func:`encode`. A generation is written under a
temporary name, flushed, and renamed when every process has finished, so that a folder with the
final name is always complete. Its manifest records how the generation was made, and the number and
size of its files. Beside it are the weights of the network that made it, so that damaged files can
be made again.
"""

import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from pydantic import BaseModel, StrictInt
from torch import Tensor

from ..durable_files import flush_folder, write_durably, write_errors_told, writing_durably
from ..errors import InputError, MissingFileError
from ..json_records import read_record
from ..untrusted_files import read_file
from .encoding import MAX_BYTES, decode, encode

MANIFEST = 'manifest.json'
SUFFIX = '.soft'
NETWORK = 'network.pth'


class Manifest(BaseModel):
    """How a generation was made.

    Attributes:
        checkpoint (str): The checkpoint that had the weights of the network, for the user.
        weights (str): A digest of these weights.
        files (dict[str, dict[str, int]]): By target, the number of ``images`` and their ``bytes``.
    """

    checkpoint: str
    weights: str
    files: dict[str, dict[str, StrictInt]]


class PseudoLabelGeneration:
    """The soft pseudo-labels that the network predicted after a certain iteration.

    Args:
        root (str | Path): Folder of all generations.
        iteration (int): The training iteration after which the generation was made.
    """

    def __init__(self, root: str | Path, iteration: int) -> None:
        self.root = Path(root)
        self.iteration = iteration

    @property
    def folder(self) -> Path:
        """Folder of the complete generation."""
        return self.root / f'iter_{self.iteration}'

    @property
    def partial_folder(self) -> Path:
        """Folder of the generation while it is being written."""
        return self.root / f'iter_{self.iteration}.partial'

    def path(self, domain: str, sample_name: str) -> str:
        """Return the path of one image's file in the complete generation."""
        return str(self.folder / domain / f'{sample_name}{SUFFIX}')

    def begin(self) -> None:
        """Prepare for writing, and remove unfinished generations of interrupted runs."""
        if is_main_process():
            for partial in self.root.glob('iter_*.partial'):
                remove_folder(partial)
            self.partial_folder.mkdir(parents=True)
        barrier()

    def write(self, domain: str, sample_name: str, soft_pseudo_label: np.ndarray) -> None:
        """Write one image's class probabilities.

        Args:
            domain (str): Name of the target.
            sample_name (str): Path of the image in its data set, without suffix.
            soft_pseudo_label (np.ndarray): (C, h, w) class probabilities from 0 to 1.

        Raises:
            InputError: If the disk is full.
        """
        path = self.partial_folder / domain / f'{sample_name}{SUFFIX}'
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_errors_told(path):
            path.write_bytes(encode(soft_pseudo_label))

    @property
    def network_path(self) -> Path:
        """The weights of the network that made the complete generation."""
        return self.folder / NETWORK

    def write_network(self, weights: dict[str, Tensor]) -> None:
        """Write the weights of the network that makes the generation.

        Args:
            weights (dict[str, Tensor]): The tensors on the CPU, by name.

        Raises:
            InputError: If the disk is full.
        """
        with writing_durably(self.partial_folder / NETWORK) as partial:
            torch.save(dict(state_dict=weights), partial)

    def finish(self, made_with: dict[str, Any]) -> None:
        """Rename the generation to its final name once every process has written its share.

        Args:
            made_with (dict[str, Any]): Entries of the manifest; must be serialisable as JSON.
        """
        os.sync()
        barrier()
        if is_main_process():
            manifest = dict(**made_with, files=count_files(self.partial_folder))
            text = json.dumps(manifest, indent=1) + '\n'
            write_durably(self.partial_folder / MANIFEST, text.encode())
            remove_folder(self.folder)
            self.partial_folder.rename(self.folder)
            flush_folder(self.root)
        barrier()

    @property
    def manifest(self) -> Manifest | None:
        """The manifest that :meth:`finish` has written; None if it is missing or damaged."""
        try:
            return read_record(self.folder / MANIFEST, Manifest)
        except InputError:
            return None

    def find_damage(self) -> str | None:
        """Describe how the files differ from the manifest, for a message; None if they agree."""
        manifest = self.manifest
        if manifest is None:
            return f'{self.folder} is missing or has no valid {MANIFEST}'
        found, expected = count_files(self.folder), manifest.files
        for domain in {**expected, **found}:
            if found.get(domain) != expected.get(domain):
                return (
                    f'{self.folder / domain} has {found.get(domain)} and should have '
                    f'{expected.get(domain)}'
                )
        return None


def count_files(folder: Path) -> dict[str, dict[str, int]]:
    """Count the files and their bytes in each domain's folder."""
    counts = {}
    for domain in sorted(path for path in folder.iterdir() if path.is_dir()):
        sizes = [path.stat().st_size for path in domain.rglob(f'*{SUFFIX}')]
        counts[domain.name] = dict(images=len(sizes), bytes=sum(sizes))
    return counts


def remove_folder(folder: Path) -> None:
    """Remove a folder with its files; of a link to a folder, only the link."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def generations(root: str | Path) -> list[PseudoLabelGeneration]:
    """Return the complete generations in ``root``, the oldest first."""
    folders = filter(Path.is_dir, Path(root).glob('iter_*'))
    numbers = (path.name.removeprefix('iter_') for path in folders)
    iterations = sorted(int(number) for number in numbers if number.isdecimal())
    return [PseudoLabelGeneration(root, iteration) for iteration in iterations]


def remove_generations(root: str | Path, unwanted: Callable[[int], bool]) -> None:
    """Remove the generations for whose iteration ``unwanted`` returns True."""
    barrier()
    if is_main_process():
        for generation in generations(root):
            if unwanted(generation.iteration):
                remove_folder(generation.folder)
    barrier()


def load_soft_pseudo_label(path: str) -> np.ndarray:
    """Read one image's class probabilities.

    A damaged file is removed, since resuming the run replaces missing files.

    Args:
        path (str): See :meth:`PseudoLabelGeneration.path`.

    Returns:
        np.ndarray: (C, h, w) float32.

    Raises:
        MissingFileError: If the file does not exist.
        InputError: If the file is damaged.
    """
    remedy = 'stop the run and continue it with --resume, which makes it again if possible'
    if not Path(path).is_file():
        raise MissingFileError(f'The pseudo-label {path} is missing: {remedy}.')
    content = read_file(path, MAX_BYTES, remedy)
    try:
        return decode(content)
    except (ValueError, zlib.error, struct.error) as error:
        # a resumed run notices a missing file but not a damaged one
        Path(path).unlink()
        raise InputError(
            f'The pseudo-label {path} was damaged ({error}) and has been removed: {remedy}.'
        ) from error
