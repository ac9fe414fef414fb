"""What there is to predict: image files and what they are called, frames of a video."""

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from ..datasets.image_files import check_depth, open_image
from ..errors import InputError, MissingFileError

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp')
VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg')
# frames a second of a video that does not tell
USUAL_RATE = 25.0


def find_images(sources: Sequence[str]) -> dict[str, Path]:
    """Image files by what their predictions are called.

    Args:
        sources (Sequence[str]): Files, folders (with all that is below them), or patterns of
            :mod:`glob`, ``**`` included.

    Returns:
        dict[str, Path]: The file by its path relative to the folder, or of files to the deepest
        folder that holds all, without its suffix.

    Raises:
        MissingFileError: If there is no image.
        InputError: If a file is none, has more than 8 bits, or two would get the same name.
    """
    files = [file for source in sources for file in expand(source)]
    if not files:
        raise MissingFileError(
            f'{" ".join(sources)} is no image, no folder with images and no pattern of some '
            f'({", ".join(IMAGE_SUFFIXES)}): correct the path.'
        )
    root = sources[0]
    if len(sources) > 1 or not Path(root).is_dir():
        root = os.path.commonpath([os.path.abspath(file.parent) for file in files])
    images: dict[str, Path] = {}
    for file in files:
        check_depth(open_image(file, load=False), file)
        name = os.path.splitext(os.path.relpath(file, root))[0]
        if images.setdefault(name, file) != file:
            raise InputError(
                f'{images[name]} and {file} would get the same name: rename one, or '
                'predict it into another --out.'
            )
    return images


def expand(source: str) -> list[Path]:
    """The image files of a file, folder or pattern, sorted."""
    if Path(source).is_dir():
        return sorted(
            Path(folder, name)
            for folder, _, names in os.walk(source, followlinks=True)
            for name in names
            # macOS leaves ._ files beside the images
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith('.')
        )
    if Path(source).is_file():
        return [Path(source)]
    return sorted(filter(Path.is_file, map(Path, glob.glob(source, recursive=True))))


def is_video(source: str) -> bool:
    """Whether this is the name of a video that is there."""
    return source.lower().endswith(VIDEO_SUFFIXES) and Path(source).is_file()


class Video:
    """The frames of a video file, read by OpenCV.

    Args:
        path (str): The file.

    Attributes:
        rate (float): Frames a second.
        length (int): Number of frames as the file tells; 0 if it does not.

    Raises:
        InputError: If OpenCV cannot read it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.capture = cv2.VideoCapture(path)
        if not self.capture.isOpened():
            raise InputError(f'{path} is damaged or no video that OpenCV can read: convert it.')
        rate = self.capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate < float('inf') else USUAL_RATE
        self.length = max(0, int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __iter__(self) -> Iterator[np.ndarray]:
        """(H, W, 3) uint8 BGR, once."""
        while True:
            is_there, frame = self.capture.read()
            if not is_there:
                break
            yield frame
        self.capture.release()
