"""Predictions as pictures and videos on the disk, under the names of what was predicted."""

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
        palette (Sequence): (C, 3) RGB from 0 to 255.
        opacity (float): Of the colours over the image, from 0 to 1.
        side_by_side (bool): Whether image and overlay are also shown side by side.
        confidence (bool): Whether the probability of the predicted class is also shown.
    """

    palette: Palette
    opacity: float = 0.5
    side_by_side: bool = False
    confidence: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the pictures that :meth:`paint` makes; folders are called like them."""
        options = {SIDE_BY_SIDE: self.side_by_side, CONFIDENCE: self.confidence}
        return (OVERLAY, INDEX, *(kind for kind, wanted in options.items() if wanted))

    def paint(self, prediction: Prediction) -> dict[str, np.ndarray]:
        """Pictures of a prediction by kind, (H, W, 3) uint8 RGB or (H, W) uint8."""
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
    """Write ``<out>/<kind>/<name>.png`` of every image.

    Args:
        predictor (Predictor): What predicts.
        images (Mapping[str, Path]): Files by name, see :func:`find_images`.
        out (Path): The folder.
        style (Style): What is written.
        batch_size (int): Images per forward pass.
        overwrite (bool): Whether pictures that are there may be replaced.

    Raises:
        InputError: If there are some and they may not, or one is an image to be predicted.
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
    """Write ``<out>/<kind>/<name>.mp4`` of a video.

    Args:
        predictor (Predictor): What predicts.
        video (Video): What is predicted.
        out (Path): The folder.
        style (Style): What is written; of the indices, which a video would blur, only frames.
        batch_size (int): Frames per forward pass.
        overwrite (bool): Whether videos and frames that are there may be replaced.
        frames (bool): Whether to write ``<out>/index/<name>/<number>.png`` of each frame.

    Returns:
        int: The number of frames.

    Raises:
        InputError: If there are some and they may not be replaced, or a video cannot be written.
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
            raise InputError(f'{video.path} has no frame that OpenCV can read: convert it.')
        for file in files.values():
            file.finish()
    finally:
        for file in files.values():
            file.discard()
    return count


def refuse_existing(paths: Iterable[Path], sources: Iterable[Path], overwrite: bool) -> None:
    """Refuse to replace what is there, and at any rate what is to be predicted.

    Raises:
        InputError: If so.
    """
    there = [path for path in paths if path.exists()]
    own = {source.resolve() for source in sources}
    for path in there:
        if path.resolve() in own:
            raise InputError(f'{path} would be replaced by its prediction: choose another --out.')
    if there and not overwrite:
        others = f' and {len(there) - 1} others are' if len(there) > 1 else ' is'
        raise InputError(
            f'{there[0]}{others} there already: choose another --out, or replace with --overwrite.'
        )


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write (H, W, 3) or (H, W) uint8 as a PNG, whole or not at all."""
    with io.BytesIO() as content:
        # little compression: more would take longer than predicting
        Image.fromarray(picture).save(content, 'PNG', compress_level=1)
        write_durably(path, content.getvalue(), REMEDY)


class VideoFile:
    """An MP4 that gets its name when it is complete.

    Args:
        path (Path): The file; its folder is made if need be.
        rate (float): Frames a second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self.path = path
        self.partial = path.with_name(f'.{path.stem}.partial{path.suffix}')
        self.rate = rate
        self.writer: cv2.VideoWriter | None = None
        self.count = 0

    def write(self, picture: np.ndarray) -> None:
        """Add a frame, (H, W, 3) RGB or (H, W) uint8, of the first one's size."""
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
        """Close the file and give it its name.

        Raises:
            InputError: If not all frames are in it; OpenCV does not tell what it fails to write.
        """
        self.close()
        found = int(cv2.VideoCapture(str(self.partial)).get(cv2.CAP_PROP_FRAME_COUNT))
        if found != self.count:
            raise InputError(
                f'{self.path} could not be written, {found} of {self.count} frames arrived: make '
                f'room on the disk and {REMEDY}, or install an OpenCV that writes mp4v.'
            )
        os.replace(self.partial, self.path)

    def discard(self) -> None:
        """Remove what has not been finished."""
        self.close()
        self.partial.unlink(missing_ok=True)

    def close(self) -> None:
        """Let OpenCV write what it still holds."""
        if self.writer is not None:
            self.writer.release()
