"""Make the label images of IDD from the polygons that it is distributed with.

As in the official AutoNUE converter, objects are painted over 'unlabeled' in their order. After an
interruption, the next run continues where the last one stopped.
"""

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from PIL import Image, ImageDraw
from rich.progress import track

from mlcl_mmseg.command_line import end_with_sentence
from mlcl_mmseg.datasets.idd import RAW_LABELS
from mlcl_mmseg.errors import InputError

POLYGONS = '_gtFine_polygons.json'
LABELS = '_gtFine_labelids.png'
# largest accepted width and height, in pixels
LARGEST = 20000
LABEL_IDS = {name: raw_id for raw_id, (name, *_) in RAW_LABELS.items()}


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
        f'{path} has an object labelled {label!r}, which is not a label of IDD: download it again.'
    )


def paint(path: Path) -> Image.Image:
    """Paint the polygons of one frame.

    Args:
        path (Path): A ``_gtFine_polygons.json`` file.

    Returns:
        Image.Image: Raw label ids, 8-bit, one channel.

    Raises:
        InputError: If the file is not valid JSON, is incomplete or has an unknown label.
    """
    try:
        annotation = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise InputError(f'{path} is not valid JSON ({error}): download it again.') from error
    if not isinstance(annotation, dict):
        raise InputError(f'{path} does not contain a JSON object: download it again.')
    missing = {'imgWidth', 'imgHeight', 'objects'} - set(annotation)
    if missing:
        raise InputError(f'{path} has no {", ".join(sorted(missing))}: download it again.')
    size = annotation['imgWidth'], annotation['imgHeight']
    if not all(isinstance(each, int) and 0 < each <= LARGEST for each in size):
        raise InputError(f'{path} gives an impossible image size {size}: download it again.')
    try:
        return paint_objects(annotation['objects'], size, path)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f'{path} has a damaged object ({type(error).__name__}: {error}): download it again.'
        ) from error


def paint_objects(objects: list[dict], size: tuple[int, int], path: Path) -> Image.Image:
    """Paint the objects of a frame in their order.

    Args:
        objects (list[dict]): Objects with the keys ``label``, ``polygon`` (a list of corners
            (x, y)) and optionally ``deleted``.
        size (tuple[int, int]): (width, height) in pixels.
        path (Path): The file with the objects, for the error message.

    Returns:
        Image.Image: Raw label ids, 8-bit, one channel.
    """
    image = Image.new('L', size, LABEL_IDS['unlabeled'])
    draw = ImageDraw.Draw(image)
    for item in objects:
        if item.get('deleted') or len(item['polygon']) < 3:
            continue
        corners = [tuple(corner) for corner in item['polygon']]
        draw.polygon(corners, fill=label_id(item['label'], path))
    return image


def label_path(path: Path) -> Path:
    """The label image that belongs to a polygon file."""
    return path.with_name(path.name.removesuffix(POLYGONS) + LABELS)


def convert(path: Path) -> None:
    """Write the label image of a polygon file.

    It is written to a temporary file and then renamed, so a label image is never incomplete.
    """
    partial = label_path(path).with_suffix('.png.partial')
    paint(path).save(partial, format='PNG')
    partial.replace(label_path(path))


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Make the label images of IDD from its polygons.')
    parser.add_argument('data_root', type=Path, help='the folder that contains gtFine')
    parser.add_argument(
        '--workers',
        type=int,
        default=os.cpu_count(),
        help='number of processes (default: one per CPU core)',
    )
    return parser.parse_args()


def main() -> None:
    """Convert all polygon files that have no label image yet."""
    args = parse_args()
    polygons = sorted(args.data_root.glob(f'gtFine/*/*/*{POLYGONS}'))
    if not polygons:
        raise InputError(
            f'{args.data_root} has no gtFine/<split>/<drive>/*{POLYGONS}: '
            'pass the folder into which IDD was unpacked.'
        )
    todo = [path for path in polygons if not label_path(path).exists()]
    with ProcessPoolExecutor(args.workers) as executor:
        results = executor.map(convert, todo, chunksize=8)
        for _ in track(results, 'IDD label images', total=len(todo)):
            pass
    print(f'{len(polygons)} label images are complete, {len(todo)} of them new.')


if __name__ == '__main__':
    end_with_sentence(main)
