"""Make the label images of IDD from the polygons that it is distributed with.

As in the official AutoNUE converter, objects are painted over 'unlabeled' in their order. Deleted
objects and polygons of fewer than three corners are skipped and counted. A file that cannot be
converted does not stop the others. The next run continues where the last one stopped.
"""

import argparse
import io
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Annotated

from PIL import Image, ImageDraw
from pydantic import BaseModel, Field, StrictBool, StrictFloat, StrictInt, StrictStr
from rich.progress import track

from mlcl_mmseg.command_line import count
from mlcl_mmseg.datasets.idd import RAW_LABELS
from mlcl_mmseg.durable_files import write_durably
from mlcl_mmseg.errors import InputError, printable
from mlcl_mmseg.failures import is_of_one_file, raise_failures
from mlcl_mmseg.interruption import start_worker
from mlcl_mmseg.json_records import read_record
from mlcl_mmseg.outputs import add_overwrite
from mlcl_mmseg.tool_exit import end_with_sentence

POLYGONS = '_gtFine_polygons.json'
LABELS = '_gtFine_labelids.png'
# largest accepted width and height, in pixels
LARGEST = 20000
LABEL_IDS = {name: raw_id for raw_id, (name, *_) in RAW_LABELS.items()}
REMEDY = 'download it again'
# a polygon may leave the image, but not by far
FAR = 10 * LARGEST
SMALLEST_POLYGON = 3
# what is not painted
DELETED, TOO_SMALL = 'deleted objects', 'polygons of fewer than 3 corners'

Side = Annotated[StrictInt, Field(gt=0, le=LARGEST)]
Coordinate = Annotated[StrictFloat, Field(ge=-FAR, le=FAR, allow_inf_nan=False)]
Switch = StrictBool | Annotated[StrictInt, Field(ge=0, le=1)]


class Outline(BaseModel):
    """An object of a frame: its label, its corners (x, y) in pixels, and whether it was deleted."""

    label: StrictStr
    polygon: list[tuple[Coordinate, Coordinate]]
    deleted: Switch = 0


class Annotation(BaseModel):
    """A polygon file: size of the frame in pixels, and its objects in the order of painting."""

    imgWidth: Side  # noqa: N815
    imgHeight: Side  # noqa: N815
    objects: list[Outline]


def label_id(label: str, path: Path) -> int:
    """The raw id of a label.

    If a label with the suffix 'group' is unknown, the label without the suffix is used.

    Args:
        label (str): The label of an object.
        path (Path): The file with the label, for the error message.

    Returns:
        int: The raw id, 0 to 39.

    Raises:
        InputError: If the label is unknown.
    """
    if label in LABEL_IDS:
        return LABEL_IDS[label]
    if label.removesuffix('group') in LABEL_IDS:
        return LABEL_IDS[label.removesuffix('group')]
    raise InputError(
        f'{path} has an object labelled {label!r}, which is not a label of IDD: {REMEDY}.'
    )


def paint(path: Path, skipped: Counter[str] | None = None) -> Image.Image:
    """Paint the polygons of one frame.

    Args:
        path (Path): A ``_gtFine_polygons.json`` file.
        skipped (Counter[str], optional): What is not painted is counted in it.

    Returns:
        Image.Image: Raw label ids, 8-bit, one channel.

    Raises:
        InputError: If the file does not have the form of :class:`Annotation`, or an object that is
            not deleted has an unknown label.
    """
    annotation = read_record(path, Annotation, REMEDY)
    skipped = Counter() if skipped is None else skipped
    image = Image.new('L', (annotation.imgWidth, annotation.imgHeight), LABEL_IDS['unlabeled'])
    draw = ImageDraw.Draw(image)
    for each in annotation.objects:
        if each.deleted:
            skipped[DELETED] += 1
            continue
        raw_id = label_id(each.label, path)
        if len(each.polygon) < SMALLEST_POLYGON:
            skipped[TOO_SMALL] += 1
            continue
        draw.polygon(each.polygon, fill=raw_id)
    return image


def label_path(path: Path) -> Path:
    """The label image that belongs to a polygon file."""
    return path.with_name(path.name.removesuffix(POLYGONS) + LABELS)


def convert(path: Path) -> Counter[str] | InputError:
    """Write the label image of a polygon file, completely or not at all.

    Returns:
        Counter[str] | InputError: What was not painted, or why this file has no label image.

    Raises:
        InputError: If no file can be written, as on a full disk.
    """
    skipped: Counter[str] = Counter()
    try:
        image = paint(path, skipped)
    except InputError as error:
        return error
    with io.BytesIO() as content:
        image.save(content, 'PNG')
        try:
            write_durably(label_path(path), content.getvalue(), 'start again')
        except InputError as error:
            if not is_of_one_file(error):
                raise
            return error
    return skipped


def convert_all(paths: Sequence[Path], workers: int | None) -> list[Counter[str] | InputError]:
    """Convert polygon files in worker processes.

    Raises:
        InputError: If no file can be written, or a worker process is killed.
    """
    try:
        with ProcessPoolExecutor(workers, initializer=start_worker) as executor:
            results = executor.map(convert, paths, chunksize=8)
            return list(track(results, 'IDD label images', total=len(paths)))
    except BrokenProcessPool as error:
        raise InputError(
            'A worker process was killed, maybe because memory ran out: start again with fewer '
            '--workers, which continues with the rest.'
        ) from error


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Make the label images of IDD from its polygons.')
    parser.add_argument('data_root', type=Path, help='the folder that contains gtFine')
    parser.add_argument(
        '--workers',
        type=count,
        default=os.cpu_count(),
        help='number of processes (default: one per CPU core)',
    )
    add_overwrite(parser)
    return parser.parse_args()


def find_polygons(data_root: Path) -> list[Path]:
    """The polygon files of a data set; macOS's files that begin with ``._`` are not among them.

    Raises:
        InputError: If there are none.
    """
    found = sorted(data_root.glob(f'gtFine/*/*/*{POLYGONS}'))
    polygons = [path for path in found if not path.name.startswith('.')]
    if not polygons:
        raise InputError(
            f'{data_root} has no gtFine/<split>/<drive>/*{POLYGONS}: '
            'pass the folder into which IDD was unpacked.'
        )
    return polygons


def main() -> None:
    """Convert all polygon files that have no label image yet, or with --overwrite all of them."""
    args = parse_args()
    polygons = find_polygons(args.data_root)
    # a broken link is no label image
    todo = [path for path in polygons if args.overwrite or not label_path(path).is_file()]
    results = convert_all(todo, args.workers)
    failures = [each for each in results if isinstance(each, InputError)]
    skipped = sum((each for each in results if isinstance(each, Counter)), Counter[str]())
    for reason, number in sorted(skipped.items()):
        print(f'{number} {reason} are not painted.')
    print(
        f'{printable(args.data_root)}: {len(polygons) - len(failures)} label images are complete, '
        f'{len(results) - len(failures)} of them new.'
    )
    raise_failures(
        failures, len(todo), 'polygon files', 'replace these files and start again for the rest'
    )


if __name__ == '__main__':
    end_with_sentence(main)
