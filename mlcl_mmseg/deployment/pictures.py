"""Write predictions as images and videos that are named like their inputs."""

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from rich.progress import track

from ..durable_files import write_durably
from ..errors import InputError
from ..failures import is_of_one_file, raise_failures
from ..outputs import check_outputs
from ..visualization.painting import Palette, grey_of, overlay, side_by_side
from .predictor import Prediction, Predictor
from .threads import in_threads
from .videos import Video, writing_video

OVERLAY, INDEX, SIDE_BY_SIDE, CONFIDENCE = 'overlay', 'index', 'side_by_side', 'confidence'
REMEDY = 'start again with --overwrite'
GO_ON = 'start again with --skip-existing'


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
    skip_existing: bool = False,
) -> int:
    """Predict images and write ``<out>/<kind>/<name>.png`` for each.

    An image that cannot be read does not stop the others. Failures are printed at the end.

    Args:
        predictor (Predictor): The predictor.
        images (Mapping[str, Path]): Files by name, see :func:`find_images`.
        out (Path): The output folder.
        style (Style): How the predictions are shown; its ``kinds`` are written.
        batch_size (int): Number of images per forward pass.
        overwrite (bool): Whether existing files may be replaced.
        skip_existing (bool): Whether to write only the files that do not exist yet. An image is
            not predicted if all of its files exist.

    Returns:
        int: The number of images that were predicted.

    Raises:
        InputError: If files exist and may not be overwritten, if an output is also an input, or
            at the end, if images failed.
    """
    targets = {name: {kind: out / kind / f'{name}.png' for kind in style.kinds} for name in images}
    if skip_existing:
        targets = {name: missing for name, each in targets.items() if (missing := absent(each))}
    paths = [path for each in targets.values() for path in each.values()]
    check_outputs(paths, images.values(), overwrite, other=' or --skip-existing')
    failures: list[InputError] = []

    def write(named: tuple[str, Prediction]) -> None:
        name, prediction = named
        pictures = style.paint(prediction)
        try:
            for kind, path in targets[name].items():
                write_picture(path, pictures[kind], GO_ON)
        except InputError as error:
            if not is_of_one_file(error):
                raise
            failures.append(error)

    todo = {name: images[name] for name in targets}
    predictions = predict_readable(predictor, todo, batch_size, failures)
    # images that fail are missing at the end of the bar
    for _ in track(in_threads(write, predictions), 'Predict', total=len(todo)):
        pass
    raise_failures(failures, len(todo), 'images', f'correct these files and {GO_ON}')
    return len(todo)


def absent(paths: Mapping[str, Path]) -> dict[str, Path]:
    """The files of an image that do not exist yet, by kind."""
    return {kind: path for kind, path in paths.items() if not os.path.lexists(path)}


def predict_readable(
    predictor: Predictor, images: Mapping[str, Path], batch_size: int, failures: list[InputError]
) -> Iterator[tuple[str, Prediction]]:
    """Predict images, and go on after each that cannot be read.

    Args:
        predictor (Predictor): The predictor.
        images (Mapping[str, Path]): Files by name.
        batch_size (int): Number of images per forward pass.
        failures (list[InputError]): The errors are added to it.

    Yields:
        tuple[str, Prediction]: Name and prediction of each image that can be read.
    """
    names = list(images)
    while names:
        paths = [images[name] for name in names]
        done = 0
        try:
            for prediction in predictor.stream(paths, batch_size):
                yield names[done], prediction
                done += 1
            return
        # of the image after the last prediction
        except InputError as error:
            failures.append(error)
            names = names[done + 1 :]


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
        overwrite (bool): Whether existing videos and frames may be replaced.
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
    old_frames = sorted(folder.glob('[0-9]*.png')) if frames else []
    check_outputs([*targets.values(), *old_frames], [video.path], overwrite)
    painted = in_threads(style.paint, predictor.stream(video, batch_size))
    count = 0
    with ExitStack() as stack:
        files = {
            kind: stack.enter_context(writing_video(path, video.rate, REMEDY))
            for kind, path in targets.items()
        }
        for pictures in track(painted, 'Predict', total=video.length or None):
            for kind, file in files.items():
                file.write(pictures[kind])
            if frames:
                write_picture(frame_path(folder, count), pictures[INDEX])
            count += 1
        if count == 0:
            raise InputError(f'{video.path} has no frames that OpenCV can read: convert it.')
    # of a longer video
    for path in set(old_frames) - {frame_path(folder, number) for number in range(count)}:
        path.unlink()
    return count


def frame_path(folder: Path, number: int) -> Path:
    """The file with the class indices of a frame of a video."""
    return folder / f'{number:06d}.png'


def write_picture(path: Path, picture: np.ndarray, remedy: str = REMEDY) -> None:
    """Write an image (H, W, 3) or (H, W) uint8 as a PNG file, completely or not at all."""
    with io.BytesIO() as content:
        # stronger compression would take longer than the prediction
        Image.fromarray(picture).save(content, 'PNG', compress_level=1)
        write_durably(path, content.getvalue(), remedy)
