"""Inputs of prediction: image files with the names of their predictions, and video frames."""

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
# frames per second, for video files that do not state their frame rate
USUAL_RATE = 25.0


def find_images(sources: Sequence[str]) -> dict[str, Path]:
    """Find image files and name their predictions.

    Args:
        sources (Sequence[str]): Files, folders (which are searched recursively), or patterns of
            :mod:`glob`, where ``**`` is allowed.

    Returns:
        dict[str, Path]: The files by the names of their predictions. A name is the path of the
        file without its suffix, relative to the folder; if ``sources`` is not a single folder, it
        is relative to the deepest folder that contains all files.

    Raises:
        MissingFileError: If there is no image.
        InputError: If a file is not an image, has more than 8 bits per channel, or if two files
            would get the same name.
    """
    files = [file for source in sources for file in expand(source)]
    if not files:
        raise MissingFileError(
            f'{" ".join(sources)} is not an image, not a folder with images and not a pattern '
            f'that matches images ({", ".join(IMAGE_SUFFIXES)}): correct the path.'
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
                f'The predictions of {images[name]} and {file} would get the same name: rename '
                'one file, or predict it into another --out.'
            )
    return images


def expand(source: str) -> list[Path]:
    """The image files of a file, folder or pattern, sorted."""
    if Path(source).is_dir():
        return sorted(
            Path(folder, name)
            for folder, _, names in os.walk(source, followlinks=True)
            for name in names
            # macOS writes ._ files next to the images
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith('.')
        )
    if Path(source).is_file():
        return [Path(source)]
    return sorted(filter(Path.is_file, map(Path, glob.glob(source, recursive=True))))


def is_video(source: str) -> bool:
    """Whether this is the path of an existing video file."""
    return source.lower().endswith(VIDEO_SUFFIXES) and Path(source).is_file()


class Video:
    """The frames of a video file, read by OpenCV.

    Args:
        path (str): The file.

    Attributes:
        rate (float): Frames per second.
        length (int): Number of frames according to the file; 0 if the file does not state it.

    Raises:
        InputError: If OpenCV cannot read it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.capture = cv2.VideoCapture(path)
        if not self.capture.isOpened():
            raise InputError(f'{path} is not a video that OpenCV can read: convert it.')
        rate = self.capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate < float('inf') else USUAL_RATE
        self.length = max(0, int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __iter__(self) -> Iterator[np.ndarray]:
        """Iterate over the frames, (H, W, 3) uint8 BGR; this works only once."""
        while True:
            has_frame, frame = self.capture.read()
            if not has_frame:
                break
            yield frame
        self.capture.release()
