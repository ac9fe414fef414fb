"""Write predictions as images and videos that are named like their inputs."""

import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image
from rich.progress import track

from ..durable_files import write_durably
from ..errors import InputError
from ..visualization.painting import Palette, grey_of, overlay, side_by_side
from .inputs import Video
from .predictor import Prediction, Predictor
from .threads import in_threads

OVERLAY, INDEX, SIDE_BY_SIDE, CONFIDENCE = 'overlay', 'index', 'side_by_side', 'confidence'
REMEDY = 'start again with --overwrite'


class Style(NamedTuple):
    """How predictions are shown.

    Attributes:
        palette (Sequence): (C, 3) RGB colours of the classes, from 0 to 255.
        opacity (float): Opacity of the colours over the image, from 0 to 1.
        side_by_side (bool): Whether to show the image and the overlay side by side as well.
        confidence (bool): Whether to show the probability of the predicted class as well.
    """

    palette: Palette
    opacity: float = 0.5
    side_by_side: bool = False
    confidence: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the images that :meth:`paint` returns, and of the folders for them."""
        options = {SIDE_BY_SIDE: self.side_by_side, CONFIDENCE: self.confidence}
        return (OVERLAY, INDEX, *(kind for kind, wanted in options.items() if wanted))

    def paint(self, prediction: Prediction) -> dict[str, np.ndarray]:
        """Draw a prediction.

        Returns:
            dict[str, np.ndarray]: Images (H, W, 3) uint8 RGB or (H, W) uint8, by the names in
            :attr:`kinds`.
        """
        painted = overlay(prediction.image, prediction.index, self.palette, self.opacity)
        pictures = {OVERLAY: painted, INDEX: prediction.index}
        if self.side_by_side:
            pictures[SIDE_BY_SIDE] = side_by_side(prediction.image, painted)
        if self.confidence:
            pictures[CONFIDENCE] = grey_of(prediction.confidence)
        return pictures


def predict_images(
    predictor: Predictor,
    images: Mapping[str, Path],
    out: Path,
    style: Style,
    batch_size: int = 1,
    overwrite: bool = False,
) -> None:
    """Predict images and write ``<out>/<kind>/<name>.png`` for each.

    Args:
        predictor (Predictor): The predictor.
        images (Mapping[str, Path]): Files by name, see :func:`find_images`.
        out (Path): The output folder.
        style (Style): How the predictions are shown; its ``kinds`` are written.
        batch_size (int): Number of images per forward pass.
        overwrite (bool): Whether existing predictions may be overwritten.

    Raises:
        InputError: If files exist and may not be overwritten, or if an output is also an input.
    """
    targets = {name: {kind: out / kind / f'{name}.png' for kind in style.kinds} for name in images}
    paths = [path for each in targets.values() for path in each.values()]
    refuse_existing(paths, images.values(), overwrite)

    def write(named: tuple[str, Prediction]) -> None:
        name, prediction = named
        for kind, picture in style.paint(prediction).items():
            write_picture(targets[name][kind], picture)

    predictions = zip(images, predictor.stream(images.values(), batch_size))
    for _ in track(in_threads(write, predictions), 'Predict', total=len(images)):
        pass


def predict_video(
    predictor: Predictor,
    video: Video,
    out: Path,
    style: Style,
    batch_size: int = 1,
    overwrite: bool = False,
    frames: bool = False,
) -> int:
    """Predict a video and write ``<out>/<kind>/<name>.mp4``.

    Class indices are never written as a video, because its compression would change them.

    Args:
        predictor (Predictor): The predictor.
        video (Video): The video.
        out (Path): The output folder.
        style (Style): How the predictions are shown; all its ``kinds`` except the
            indices are written.
        batch_size (int): Number of frames per forward pass.
        overwrite (bool): Whether existing videos and frames may be overwritten.
        frames (bool): Whether to write the class indices of each frame as
            ``<out>/index/<name>/<number>.png``.

    Returns:
        int: The number of frames.

    Raises:
        InputError: If files exist and may not be overwritten, if an output is also the input, or
            if a video cannot be read or written.
    """
    name = Path(video.path).stem
    targets = {kind: out / kind / f'{name}.mp4' for kind in style.kinds if kind != INDEX}
    folder = out / INDEX / name
    old_frames = list(folder.glob('[0-9]*.png')) if frames else []
    refuse_existing([*targets.values(), *old_frames], [Path(video.path)], overwrite)
    for path in old_frames:
        path.unlink()
    files = {kind: VideoFile(path, video.rate) for kind, path in targets.items()}
    painted = in_threads(style.paint, predictor.stream(video, batch_size))
    count = 0
    try:
        for pictures in track(painted, 'Predict', total=video.length or None):
            for kind, file in files.items():
                file.write(pictures[kind])
            if frames:
                write_picture(folder / f'{count:06d}.png', pictures[INDEX])
            count += 1
        if count == 0:
            raise InputError(f'{video.path} has no frames that OpenCV can read: convert it.')
        for file in files.values():
            file.finish()
    finally:
        for file in files.values():
            file.discard()
    return count


def refuse_existing(paths: Iterable[Path], sources: Iterable[Path], overwrite: bool) -> None:
    """Refuse to overwrite existing files, and never overwrite an input.

    Args:
        paths (Iterable[Path]): The files to write.
        sources (Iterable[Path]): The input files.
        overwrite (bool): Whether existing files other than inputs may be overwritten.

    Raises:
        InputError: If a file exists that may not be overwritten.
    """
    existing = [path for path in paths if path.exists()]
    inputs = {source.resolve() for source in sources}
    for path in existing:
        if path.resolve() in inputs:
            raise InputError(f'{path} is an input and would be overwritten: choose another --out.')
    if existing and not overwrite:
        exist = f'and {len(existing) - 1} more exist' if len(existing) > 1 else 'exists'
        raise InputError(
            f'{existing[0]} {exist} already: choose another --out, or use --overwrite.'
        )


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write an image (H, W, 3) or (H, W) uint8 as a PNG file, completely or not at all."""
    with io.BytesIO() as content:
        # stronger compression would take longer than the prediction
        Image.fromarray(picture).save(content, 'PNG', compress_level=1)
        write_durably(path, content.getvalue(), REMEDY)


class VideoFile:
    """An MP4 file that gets its final name only when it is complete.

    Args:
        path (Path): The file; its folder is created if necessary.
        rate (float): Frames per second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self.path = path
        self.partial = path.with_name(f'.{path.stem}.partial{path.suffix}')
        self.rate = rate
        self.writer: cv2.VideoWriter | None = None
        self.count = 0

    def write(self, picture: np.ndarray) -> None:
        """Add a frame, (H, W, 3) uint8 RGB or (H, W) uint8; all frames have the same size."""
        if picture.ndim == 2:
            picture = np.repeat(picture[..., None], 3, axis=2)
        if self.writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            size = picture.shape[1::-1]
            code = cv2.VideoWriter.fourcc(*'mp4v')
            self.writer = cv2.VideoWriter(str(self.partial), code, self.rate, size)
        self.writer.write(np.ascontiguousarray(picture[..., ::-1]))
        self.count += 1

    def finish(self) -> None:
        """Close the file and rename it to its final name.

        Raises:
            InputError: If frames are missing. OpenCV reports no errors when it writes frames.
        """
        self.close()
        found = int(cv2.VideoCapture(str(self.partial)).get(cv2.CAP_PROP_FRAME_COUNT))
        if found != self.count:
            raise InputError(
                f'{self.path} could not be written ({found} of {self.count} frames): free disk '
                f'space and {REMEDY}, or install a version of OpenCV that writes mp4v.'
            )
        os.replace(self.partial, self.path)

    def discard(self) -> None:
        """Delete the file if it has not been finished."""
        self.close()
        self.partial.unlink(missing_ok=True)

    def close(self) -> None:
        """Let OpenCV write its remaining frames and close the file."""
        if self.writer is not None:
            self.writer.release()
