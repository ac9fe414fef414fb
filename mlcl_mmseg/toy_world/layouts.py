"""Write the toy world in the folders, file names, formats and raw label ids of four data sets."""

import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from rich.progress import track

from ..datasets import cityscapes, gta5, idd, mapillary
from ..durable_files import PARTIAL, write_durably, write_errors_told
from ..errors import InputError
from ..interruption import start_worker
from ..json_records import read_record
from ..labels import IGNORE_INDEX, LABEL_SPACES, RawLabels, raw_label_map
from .looks import LOOKS
from .paint import PARTS, draw_scene

MARKER = 'toy_world.json'
# increase it whenever a seed leads to a different world
VERSION = 1
SMALLEST = 32
AGAIN = 'start again'


class Layout(NamedTuple):
    """How a data set stores its files.

    Attributes:
        folder (str): Its folder in the data root.
        raw_labels (RawLabels): Its table of raw label ids.
        image (str): Path of an image, with the fields ``{split}`` and ``{number}``.
        label (str): Path of a label image, with the same fields.
        splits (tuple[str, ...]): Names of the training split and, if there is one, of the
            validation split.
        other_names (dict[str, str]): Raw label names of the parts whose name in this data set
            differs from that in :data:`PARTS`.
        palette (bool): Whether label images have a palette.
    """

    folder: str
    raw_labels: RawLabels
    image: str
    label: str
    splits: tuple[str, ...]
    other_names: dict[str, str]
    palette: bool = False


LAYOUTS = {
    'gta5': Layout(
        folder='GTA5',
        raw_labels=gta5.RAW_LABELS,
        image='images/{number:05d}.png',
        label='labels/{number:05d}.png',
        splits=('all',),
        other_names={'lane marking': 'road'},
        palette=True,
    ),
    'cityscapes': Layout(
        folder='Cityscapes',
        raw_labels=cityscapes.RAW_LABELS,
        image='leftImg8bit/{split}/toytown/toytown_{number:06d}_000019_leftImg8bit.png',
        label='gtFine/{split}/toytown/toytown_{number:06d}_000019_gtFine_labelIds.png',
        splits=('train', 'val'),
        other_names={'lane marking': 'road'},
    ),
    'mapillary': Layout(
        folder='Mapillary',
        raw_labels=mapillary.RAW_LABELS,
        image='{split}/images/toy_{number:06d}.jpg',
        label='{split}/v1.2/labels/toy_{number:06d}.png',
        splits=('training', 'validation'),
        other_names={
            **{name: name.title() for name in PARTS},
            'lane marking': 'Lane Marking - General',
            'traffic sign': 'Traffic Sign (Front)',
            'rider': 'Motorcyclist',
            'train': 'On Rails',
        },
        palette=True,
    ),
    'idd': Layout(
        folder='IDD_Segmentation',
        raw_labels=idd.RAW_LABELS,
        image='leftImg8bit/{split}/0/{number:06d}_leftImg8bit.png',
        label='gtFine/{split}/0/{number:06d}_gtFine_labelids.png',
        splits=('train', 'val'),
        other_names={'lane marking': 'road', 'terrain': 'non-drivable fallback'},
    ),
}


class Frame(NamedTuple):
    """An image to draw; it is a function of ``seed``, ``domain``, ``split``, ``number``, ``size``.

    Attributes:
        root (Path): The data root.
        domain (str): A key of :data:`LAYOUTS`.
        split (int): Index of the split in the layout's ``splits``.
        number (int): Number of the image in its split.
        size (tuple[int, int]): (width, height) in pixels.
        seed (int): Seed of the toy world.
    """

    root: Path
    domain: str
    split: int
    number: int
    size: tuple[int, int]
    seed: int


def raw_ids(layout: Layout) -> np.ndarray:
    """The raw label id of each part, (len(PARTS),) uint8."""
    ids = {name: raw_id for raw_id, (name, *_) in layout.raw_labels.items()}
    return np.array([ids[layout.other_names.get(part, part)] for part in PARTS], np.uint8)


def palette(layout: Layout) -> np.ndarray:
    """The RGB colour of each raw id, (256, 3) uint8, taken from its class in the 19 classes."""
    colours = np.zeros((256, 3), np.uint8)
    for raw_id, index in raw_label_map(layout.raw_labels, 19).items():
        if index != IGNORE_INDEX:
            colours[raw_id] = LABEL_SPACES[19].palette[index]
    return colours


def write_frame(frame: Frame) -> None:
    """Draw an image, and write it and its label image."""
    layout = LAYOUTS[frame.domain]
    key = [frame.seed, list(LAYOUTS).index(frame.domain), frame.split, frame.number]
    image, part = draw_scene(np.random.default_rng(key), LOOKS[frame.domain], *frame.size)
    label = Image.fromarray(raw_ids(layout)[part])
    if layout.palette:
        label.putpalette(palette(layout).tobytes())
    for pattern, picture in ((layout.image, Image.fromarray(image)), (layout.label, label)):
        name = pattern.format(split=layout.splits[frame.split], number=frame.number)
        path = frame.root / layout.folder / name
        options: dict[str, Any] = dict(quality=92) if path.suffix == '.jpg' else {}
        with write_errors_told(path, AGAIN):
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path, **options)


def frames(
    root: Path, num_images: int, num_validation_images: int, size: tuple[int, int], seed: int
) -> Iterator[Frame]:
    """All frames of a toy world."""
    for domain, layout in LAYOUTS.items():
        counts = (num_images, num_validation_images)
        for split, count in zip(range(len(layout.splits)), counts):
            for number in range(count):
                yield Frame(root, domain, split, number, size, seed)


def write_toy_world(
    root: str | Path,
    num_images: int,
    size: tuple[int, int],
    seed: int,
    num_validation_images: int | None = None,
    num_workers: int | None = None,
    replace: bool = False,
) -> bool:
    """Write a toy world, unless ``root`` contains one with the same settings already.

    ``root`` will contain GTA5, Cityscapes, Mapillary and IDD_Segmentation, as the configs expect
    them in ``MLCL_DATA_ROOT``. It gets its final name only when it is complete.

    Args:
        root (str | Path): A folder that is empty or does not exist yet.
        num_images (int): Number of training images of each domain.
        size (tuple[int, int]): (width, height) of the images in pixels.
        seed (int): Seed of all random numbers.
        num_validation_images (int, optional): Number of validation images of each target; by
            default a quarter of ``num_images``.
        num_workers (int, optional): Number of processes; by default one per CPU core.
        replace (bool): Whether a toy world with other settings in ``root`` may be replaced.

    Returns:
        bool: Whether the toy world was written by this call.

    Raises:
        InputError: If ``root`` contains anything else, or if a number is too small.
    """
    root = Path(root).resolve()
    if num_validation_images is None:
        num_validation_images = -(-num_images // 4)
    if min(num_images, num_validation_images) < 1 or min(size) < SMALLEST or seed < 0:
        raise InputError(
            f'A toy world needs at least one image, at least {SMALLEST}x{SMALLEST} pixels and a '
            f'non-negative seed, but got {num_images} and {num_validation_images} images, '
            f'{size[0]}x{size[1]} pixels and seed {seed}.'
        )
    settings = dict(
        version=VERSION,
        images=num_images,
        validation_images=num_validation_images,
        size=list(size),
        seed=seed,
    )
    if find_world(root, settings, replace):
        return False
    partial = root.with_name(f'{PARTIAL}{uuid.uuid4().hex}')
    try:
        draw_frames(
            list(frames(partial, num_images, num_validation_images, size, seed)), num_workers
        )
        write_durably(partial / MARKER, f'{json.dumps(settings)}\n'.encode(), AGAIN)
        with write_errors_told(root, AGAIN):
            if root.exists():
                shutil.rmtree(root)
            partial.rename(root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True


def find_world(root: Path, settings: dict[str, Any], replace: bool) -> bool:
    """Whether a folder contains this toy world already.

    Args:
        root (Path): The folder.
        settings (dict[str, Any]): The settings of the toy world.
        replace (bool): Whether the folder may contain another toy world.

    Raises:
        InputError: If it contains anything else.
    """
    marker = root / MARKER
    if marker.is_file():
        remedy = 'remove its folder or choose another one'
        if read_record(marker, dict[str, Any], remedy) == settings:
            return True
    is_world = marker.is_file() and {each.name for each in root.iterdir()} <= {
        *(layout.folder for layout in LAYOUTS.values()),
        MARKER,
    }
    is_empty = not root.exists() or (root.is_dir() and not any(root.iterdir()))
    if not (is_empty or (is_world and replace)):
        hint = ', use --overwrite if it is another toy world' if is_world else ''
        raise InputError(
            f'{root} contains something other than this toy world: remove it{hint} or choose '
            'another folder.'
        )
    return False


def draw_frames(todo: Sequence[Frame], num_workers: int | None) -> None:
    """Draw frames in worker processes.

    Raises:
        InputError: If a file cannot be written or a worker process is killed.
    """
    try:
        with ProcessPoolExecutor(num_workers, initializer=start_worker) as executor:
            for _ in track(executor.map(write_frame, todo, chunksize=4), 'Toy world', len(todo)):
                pass
    except BrokenProcessPool as error:
        raise InputError(
            'A worker process was killed, maybe because memory ran out: start again with fewer '
            '--workers.'
        ) from error
