"""Soft pseudo-labels on disk: one file an image, one folder a generation.

``<root>/iter_<k>/<domain>/<sample name>.soft``, (C, h, w) at feature resolution as :func:`encode`
writes them. A generation is written under a temporary name, flushed and renamed when every process
has finished: a folder with its final name is complete. Its manifest tells what it was made with and
how much it holds.
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
from mmengine.dist import barrier, is_main_process

from ..durable_files import flush_folder, full_disk_is_told, write_durably
from ..errors import InputError, MissingFileError
from .encoding import decode, encode

MANIFEST = 'manifest.json'
SUFFIX = '.soft'


class PseudoLabelGeneration:
    """The soft pseudo-labels that one state of the network gave.

    Args:
        root (str | Path): Folder of all generations.
        iteration (int): The training iteration after which it was made.
    """

    def __init__(self, root: str | Path, iteration: int) -> None:
        self.root = Path(root)
        self.iteration = iteration

    @property
    def folder(self) -> Path:
        """Where the complete generation lies."""
        return self.root / f'iter_{self.iteration}'

    @property
    def partial_folder(self) -> Path:
        """Where it is being written."""
        return self.root / f'iter_{self.iteration}.partial'

    def path(self, domain: str, sample_name: str) -> str:
        """The file of one image of the complete generation."""
        return str(self.folder / domain / f'{sample_name}{SUFFIX}')

    def begin(self) -> None:
        """Prepare for writing; what an interrupted attempt left, at any iteration, is removed."""
        if is_main_process():
            for partial in self.root.glob('iter_*.partial'):
                shutil.rmtree(partial)
            self.partial_folder.mkdir(parents=True)
        barrier()

    def write(self, domain: str, sample_name: str, soft_pseudo_label: np.ndarray) -> None:
        """Write one image's class probabilities.

        Args:
            domain (str): Name of the target.
            sample_name (str): The image's path in its data set, without suffix.
            soft_pseudo_label (np.ndarray): (C, h, w), from 0 to 1.

        Raises:
            InputError: If the disk is full.
        """
        path = self.partial_folder / domain / f'{sample_name}{SUFFIX}'
        path.parent.mkdir(parents=True, exist_ok=True)
        with full_disk_is_told(path):
            path.write_bytes(encode(soft_pseudo_label))

    def finish(self, made_with: dict[str, Any]) -> None:
        """Make the generation visible, once every process has written its share.

        Args:
            made_with (dict[str, Any]): For the manifest, in terms of JSON.
        """
        os.sync()
        barrier()
        if is_main_process():
            manifest = dict(**made_with, files=count_files(self.partial_folder))
            text = json.dumps(manifest, indent=1) + '\n'
            write_durably(self.partial_folder / MANIFEST, text.encode())
            shutil.rmtree(self.folder, ignore_errors=True)
            self.partial_folder.rename(self.folder)
            flush_folder(self.root)
        barrier()

    @property
    def manifest(self) -> dict[str, Any] | None:
        """What :meth:`finish` wrote; None if it is not there or damaged."""
        try:
            manifest = json.loads((self.folder / MANIFEST).read_text())
        except (OSError, ValueError):
            return None
        kinds = dict(files=dict, checkpoint=str, weights=str)
        is_whole = isinstance(manifest, dict) and all(
            isinstance(manifest.get(key), kind) for key, kind in kinds.items()
        )
        return manifest if is_whole else None

    def find_damage(self) -> str | None:
        """What is wrong with the files as they lie there, for a message; None if nothing is."""
        if self.manifest is None:
            return f'{self.folder} is missing or without its {MANIFEST}'
        found, expected = count_files(self.folder), self.manifest['files']
        for domain in {**expected, **found}:
            if found.get(domain) != expected.get(domain):
                return (
                    f'{self.folder / domain} has {found.get(domain)} and should have '
                    f'{expected.get(domain)}'
                )
        return None


def count_files(folder: Path) -> dict[str, dict[str, int]]:
    """The number of files and of bytes in each domain's folder."""
    counts = {}
    for domain in sorted(path for path in folder.iterdir() if path.is_dir()):
        sizes = [path.stat().st_size for path in domain.rglob(f'*{SUFFIX}')]
        counts[domain.name] = dict(images=len(sizes), bytes=sum(sizes))
    return counts


def generations(root: str | Path) -> list[PseudoLabelGeneration]:
    """The complete generations under ``root``, oldest first."""
    numbers = (path.name.removeprefix('iter_') for path in Path(root).glob('iter_*'))
    iterations = sorted(int(number) for number in numbers if number.isdecimal())
    return [PseudoLabelGeneration(root, iteration) for iteration in iterations]


def remove_generations(root: str | Path, unwanted: Callable[[int], bool]) -> None:
    """Remove the generations of those iterations that are ``unwanted``."""
    barrier()
    if is_main_process():
        for generation in generations(root):
            if unwanted(generation.iteration):
                shutil.rmtree(generation.folder)
    barrier()


def load_soft_pseudo_label(path: str) -> np.ndarray:
    """Read one image's class probabilities.

    Returns:
        np.ndarray: (C, h, w) float32.

    Raises:
        MissingFileError: If there is no such file.
        InputError: If it is damaged.
    """
    remedy = 'end the run and go on with --resume, which makes pseudo-labels anew where it can'
    if not Path(path).is_file():
        raise MissingFileError(f'The pseudo-label {path} is missing: {remedy}.')
    try:
        return decode(Path(path).read_bytes())
    except (ValueError, zlib.error, struct.error) as error:
        # a file that is missing is noticed on resume
        Path(path).unlink()
        raise InputError(
            f'The pseudo-label {path} was damaged ({error}) and is removed: {remedy}.'
        ) from error
