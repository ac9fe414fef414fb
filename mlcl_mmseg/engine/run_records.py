"""Records of a run for the report page, in the folder of its log.

- ``environment.json``: versions and hardware
- ``validations/iter_<k>.json``: pixel counts, and the mIoU of each image
- ``pseudo_labels/iter_<k>/<domain>/<sample name>.png``: some hard pseudo-labels of a generation, as
  greyscale images of class indices that are opaque where the method trusts a pixel
"""

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import mmcv
import mmengine
import mmseg
import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, Field, StrictInt, model_validator
from torch import Tensor

from ..datasets.image_files import open_image
from ..durable_files import write_durably, writing_durably
from ..errors import InputError
from ..json_records import Count
from ..version import __version__

ENVIRONMENT = 'environment.json'
VALIDATIONS = 'validations'
PSEUDO_LABELS = 'pseudo_labels'

Colour = Annotated[StrictInt, Field(ge=0, le=255)]


class Validation(BaseModel):
    """The record of a validation.

    Attributes:
        iteration (int): The training iteration.
        classes (list[str]): Names of the C classes.
        palette (list[tuple[int, int, int]]): Their RGB colours, 0 to 255.
        confusion (dict[str, list[list[int]]]): By domain, C x C pixel counts, label by prediction.
        images (dict[str, dict[str, float]]): By domain and sample name, mIoU in percent; NaN for
            images without a labelled pixel.
    """

    iteration: Count
    classes: list[str]
    palette: list[tuple[Colour, Colour, Colour]]
    confusion: dict[str, list[list[Count]]]
    images: dict[str, dict[str, float]]

    @model_validator(mode='after')
    def check_sizes(self) -> 'Validation':
        """Check that all parts have the same number of classes."""
        for size in (len(self.palette), *map(len, self.confusion.values())):
            if size != len(self.classes):
                raise ValueError(f'{size} entries for {len(self.classes)} classes')
        if any(len(row) != len(rows) for rows in self.confusion.values() for row in rows):
            raise ValueError('a confusion matrix is not square')
        return self


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a record atomically."""
    write_durably(path, (json.dumps(content) + '\n').encode())


def environment(processes: int, device: torch.device) -> dict[str, str]:
    """Describe the versions and hardware of this process.

    Args:
        processes (int): Number of processes of the training.
        device (torch.device): The device of this process.

    Returns:
        dict[str, str]: Descriptions by their titles on the report page.
    """
    found = dict(
        processes=str(processes),
        device=device.type,
        CPU=f'{cpu_name()}, {os.cpu_count()} cores',
        threads=str(torch.get_num_threads()),
        memory=f'{os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30:.0f} GiB',
    )
    if device.type == 'cuda':
        gpu = torch.cuda.get_device_properties(device)
        found['GPU'] = f'{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB'
    return dict(
        **found,
        **{'operating system': platform.platform(), 'Python': platform.python_version()},
        PyTorch=torch.__version__,
        CUDA=torch.version.cuda or 'none',
        NumPy=np.__version__,
        MMEngine=mmengine.__version__,
        MMCV=mmcv.__version__,
        MMSegmentation=mmseg.__version__,
        mlcl_mmseg=__version__,
    )


def cpu_name() -> str:
    """Return the name of the processor, or its architecture if the name is unknown."""
    path = Path('/proc/cpuinfo')
    for line in path.read_text('utf-8', 'replace').splitlines() if path.is_file() else []:
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.machine()


def write_validation(
    folder: Path,
    iteration: int,
    dataset_meta: dict,
    confusion: dict[str, Tensor],
    image_scores: dict[str, dict[str, float]],
) -> None:
    """Write the results of a validation.

    Args:
        folder (Path): Folder of the log.
        iteration (int): The training iteration of the validation.
        dataset_meta (dict): Meta information with ``classes`` and ``palette``.
        confusion (dict[str, Tensor]): By domain, (C, C) int64 pixel counts, label by prediction.
        image_scores (dict[str, dict[str, float]]): By domain and sample name, mIoU in percent.
    """
    content = dict(
        iteration=iteration,
        classes=list(dataset_meta['classes']),
        palette=[list(colour) for colour in dataset_meta['palette']],
        confusion={domain: counts.tolist() for domain, counts in confusion.items()},
        images={
            domain: {name: round(score, 2) for name, score in scores.items()}
            for domain, scores in image_scores.items()
        },
    )
    write_json(folder / VALIDATIONS / f'iter_{iteration}.json', content)


def write_pseudo_label(path: Path, hard: Tensor, selected: Tensor) -> None:
    """Write the hard pseudo-label of an image, and which of its pixels the method trusts.

    Args:
        path (Path): Path of the PNG file.
        hard (Tensor): (h, w) int64, the most probable class of each pixel.
        selected (Tensor): (h, w) int64, the same class where the method trusts it, 255 elsewhere.
    """
    layers = torch.stack([hard, 255 * (selected == hard)], dim=-1)
    with writing_durably(path) as partial:
        Image.fromarray(layers.byte().numpy()).save(partial, 'PNG')


def read_pseudo_label(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a file of :func:`write_pseudo_label`.

    Args:
        path (Path): Path of the PNG file.

    Returns:
        tuple[np.ndarray, np.ndarray]: (h, w) uint8 class indices, and (h, w) bool, True where the
        method trusts a pixel.

    Raises:
        InputError: If the file is damaged.
    """
    image = open_image(path)
    if image.mode != 'LA':
        raise InputError(f'{path} has mode {image.mode}, not LA: remove it.')
    hard, opacity = np.moveaxis(np.asarray(image), 2, 0)
    return hard, opacity > 0


def evenly_spaced(items: Sequence, count: int) -> list:
    """Return at most ``count`` items, evenly spaced from the first to the last."""
    places = np.linspace(0, len(items) - 1, min(count, len(items)))
    return [items[place] for place in places.round().astype(int)]
