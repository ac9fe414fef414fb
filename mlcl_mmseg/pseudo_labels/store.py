"""Soft pseudo-labels on disk: one float16 array an image, one folder a generation.

``<root>/iter_<k>/<domain>/<sample name>.npy``, (C, h, w) at feature resolution. A generation is
written under a temporary name and renamed when every process has finished, so that a folder with
its final name is complete.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mmengine.dist import barrier, is_main_process


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
        return str(self.folder / domain / f'{sample_name}.npy')

    def begin(self) -> None:
        """Prepare for writing; what an interrupted attempt left is removed."""
        if is_main_process():
            shutil.rmtree(self.partial_folder, ignore_errors=True)
            self.partial_folder.mkdir(parents=True)
        barrier()

    def write(self, domain: str, sample_name: str, soft_pseudo_label: np.ndarray) -> None:
        """Write one image's class probabilities.

        Args:
            domain (str): Name of the target.
            sample_name (str): The image's path in its data set, without suffix.
            soft_pseudo_label (np.ndarray): (C, h, w), from 0 to 1.
        """
        path = self.partial_folder / domain / f'{sample_name}.npy'
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, soft_pseudo_label.astype(np.float16))

    def finish(self) -> None:
        """Make the generation visible, once every process has written its share."""
        barrier()
        if is_main_process():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.partial_folder.rename(self.folder)
        barrier()


def generations(root: str | Path) -> list[PseudoLabelGeneration]:
    """The complete generations under ``root``, oldest first."""
    folders = (path for path in Path(root).glob('iter_*') if path.suffix != '.partial')
    iterations = sorted(int(path.name.removeprefix('iter_')) for path in folders)
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
    """
    return np.load(path).astype(np.float32)
