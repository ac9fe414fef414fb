"""Read and write video files by OpenCV."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from ..durable_files import writing_durably
from ..errors import InputError
from ..untrusted_files import check_regular_file

# frames per second, for video files that do not state their frame rate
USUAL_RATE = 25.0
# FFMPEG's names of the formats that are read. Others, such as playlists, would make it open further
# files or connections.
FORMATS = ('mov', 'avi', 'matroska', 'mpeg', 'mpegvideo', 'mpegts', 'flv', 'ogg')
# the first bytes of these formats, by their place in the file
SIGNATURES = (
    *((4, box) for box in (b'ftyp', b'moov', b'mdat', b'wide')),
    *((0, start) for start in (b'\x1aE\xdf\xa3', b'\0\0\1\xba', b'\0\0\1\xb3', b'FLV\1', b'OggS')),
    (8, b'AVI '),
)
# of images in MP4's container, such as .heic and .avif
IMAGE_BRANDS = (b'heic', b'heix', b'heim', b'heis', b'mif1', b'msf1', b'avif', b'avis', b'crx ')
# packets of a transport stream begin with this byte, in cameras' files after a time of 4 bytes
SYNC, PACKETS = 0x47, ((0, 188), (4, 192))
# the environment variable from which OpenCV takes FFMPEG's options
OPTIONS = 'OPENCV_FFMPEG_CAPTURE_OPTIONS'
RESTRICTED = f'format_whitelist;{",".join(FORMATS)}|protocol_whitelist;file'


def is_video(path: str | Path) -> bool:
    """Whether this is a file whose content begins like that of a video.

    Raises:
        InputError: If it is a file that cannot be read.
    """
    if not os.path.isfile(path):
        return False
    check_regular_file(path)
    try:
        with open(path, 'rb') as file:
            head = file.read(512)
    except OSError as error:
        raise InputError(
            f'{path} cannot be read ({error.strerror}): correct its permissions.'
        ) from error
    if head[4:8] == b'ftyp' and head[8:12] in IMAGE_BRANDS:
        return False
    return any(head[place:].startswith(start) for place, start in SIGNATURES) or any(
        len(head) > first + 2 * step and {head[first + k * step] for k in range(3)} == {SYNC}
        for first, step in PACKETS
    )


def path_for_opencv(path: Path) -> str:
    """The absolute path of a video: FFMPEG would read a part before a colon as a protocol.

    Raises:
        InputError: If the path is not UTF-8.
    """
    absolute = os.path.abspath(path)
    try:
        absolute.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f'The path {path} is not UTF-8, which OpenCV requires of a video: rename it.'
        ) from error
    return absolute


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
        unreadable = InputError(f'{path} is not a video that OpenCV can read: convert it.')
        if not is_video(path):
            raise unreadable
        self.path = path
        self.capture = open_restricted(path)
        if not self.capture.isOpened():
            raise unreadable
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


def open_restricted(path: str | Path) -> cv2.VideoCapture:
    """Open a video by FFMPEG, which is not allowed to open anything else.

    The content decides the format, but a file may look like two formats at once.
    """
    before = os.environ.get(OPTIONS)
    os.environ[OPTIONS] = RESTRICTED
    try:
        return cv2.VideoCapture(path_for_opencv(Path(path)), cv2.CAP_FFMPEG)
    finally:
        if before is None:
            del os.environ[OPTIONS]
        else:
            os.environ[OPTIONS] = before


class VideoWriter:
    """An MP4 file, to which frames are added.

    Args:
        path (Path): The file.
        rate (float): Frames per second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self.path = path_for_opencv(path)
        self.rate = rate
        self.writer: cv2.VideoWriter | None = None
        self.count = 0

    def write(self, picture: np.ndarray) -> None:
        """Add a frame, (H, W, 3) uint8 RGB or (H, W) uint8; all frames have the same size."""
        if picture.ndim == 2:
            picture = np.repeat(picture[..., None], 3, axis=2)
        if self.writer is None:
            size = picture.shape[1::-1]
            code = cv2.VideoWriter.fourcc(*'mp4v')
            self.writer = cv2.VideoWriter(self.path, cv2.CAP_FFMPEG, code, self.rate, size)
        self.writer.write(np.ascontiguousarray(picture[..., ::-1]))
        self.count += 1

    def close(self) -> None:
        """Let OpenCV write its remaining frames and close the file."""
        if self.writer is not None:
            self.writer.release()


@contextmanager
def writing_video(path: Path, rate: float, remedy: str) -> Iterator[VideoWriter]:
    """Write an MP4 file, which gets its name only when it is complete.

    Args:
        path (Path): The file; its folder is created if necessary.
        rate (float): Frames per second.
        remedy (str): What the user can do if the file cannot be written, for the message.

    Raises:
        InputError: If the file cannot be written or frames are missing. OpenCV reports no errors
            when it writes frames.
    """
    with writing_durably(path, remedy) as partial:
        file = VideoWriter(partial, rate)
        try:
            yield file
        finally:
            file.close()
        found = int(open_restricted(partial).get(cv2.CAP_PROP_FRAME_COUNT))
        if found != file.count:
            raise InputError(
                f'{path} could not be written ({found} of {file.count} frames): free disk space '
                f'and {remedy}, or install a version of OpenCV that writes mp4v.'
            )
