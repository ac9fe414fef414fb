"""Open image files, with an error message that names a file that cannot be read."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from ..errors import InputError, printable
from ..untrusted_files import REPLACE, check_regular_file

# Pillow reads more formats, but some of those readers start other programs (EPS) or read other
# files. JPEG includes the files of cameras with several pictures (MPO).
FORMATS = ('PNG', 'JPEG', 'BMP', 'TIFF', 'WEBP', 'PPM', 'GIF', 'JPEG2000')
# the suffixes of files in these formats
IMAGE_SUFFIXES = (
    *('.png', '.jpg', '.jpeg', '.jfif', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm', '.jp2'),
)
# name prefixes of Pillow's modes with more than 8 bits a channel; converted to RGB, most values of
# such an image become white
DEEP_MODES = ('I', 'F')
# the environment variable that sets the largest number of pixels of an image
MAX_PIXELS = 'MLCL_MAX_PIXELS'

if os.environ.get(MAX_PIXELS):
    # Pillow warns of images above its limit and refuses those above twice this limit
    Image.MAX_IMAGE_PIXELS = int(os.environ[MAX_PIXELS]) // 2


def open_image(path: str | Path, load: bool = True, remedy: str = REPLACE) -> Image.Image:
    """Open an image file with Pillow and close it again.

    Args:
        path (str | Path): The file.
        load (bool): Whether to decode the pixels; the checksums of a PNG are verified first. If
            False, only the header is read, and only ``mode``, ``size`` and ``format`` of the
            result are valid.
        remedy (str): What the user can do if the file cannot be read, for the error message.

    Returns:
        Image.Image: The image, as it is stored.

    Raises:
        MissingFileError: If the file does not exist.
        InputError: If it is not a regular file, is not an image in one of :data:`FORMATS`, is
            damaged, cannot be opened or has too many pixels.
    """
    check_regular_file(path, remedy)
    try:
        if load:
            # decoding ignores the checksums, and one flipped bit may destroy a whole label
            with Image.open(path, formats=FORMATS) as image:
                image.verify()
        with Image.open(path, formats=FORMATS) as image:
            if load:
                image.load()
            return image
    except Image.DecompressionBombError as error:
        raise InputError(
            f'{path} has more pixels than the limit, {2 * (Image.MAX_IMAGE_PIXELS or 0)}: set the '
            f'environment variable {MAX_PIXELS} to a larger number, or scale the image down.'
        ) from error
    # on a damaged file, Pillow's decoders raise exceptions of many types
    except Exception as error:
        raise InputError(f'{path} cannot be read ({reason(error)}): {remedy}.') from error


def reason(error: Exception) -> str:
    """Return the reason of an error, without the path that some messages repeat."""
    if isinstance(error, UnidentifiedImageError):
        return f'not an image in a known format ({", ".join(FORMATS)})'
    return getattr(error, 'strerror', None) or str(error) or type(error).__name__


def has_suffix(path: str | Path, suffixes: Sequence[str]) -> bool:
    """Whether the name of a file ends with one of these suffixes, in upper or lower case.

    Hidden files are excluded: macOS creates files whose names begin with ``._`` next to images.
    """
    name = os.path.basename(path)
    return not name.startswith('.') and name.lower().endswith(tuple(map(str.lower, suffixes)))


def count_suffixes(paths: Iterable[Path]) -> str:
    """Count files by suffix, such as '3 .heic, 1 .mp4'; '' if there are none."""
    counts = Counter(path.suffix.lower() or 'without suffix' for path in paths)
    return ', '.join(f'{count} {printable(suffix)}' for suffix, count in counts.most_common())


def check_depth(image: Image.Image, path: str | Path) -> None:
    """Check that an image has at most 8 bits a channel.

    Args:
        image (Image.Image): The image. Its pixels need not be loaded.
        path (str | Path): The file that it was read from, for error messages.

    Raises:
        InputError: If the image has more than 8 bits a channel.
    """
    if image.mode.startswith(DEEP_MODES):
        raise InputError(
            f'{path} has mode {image.mode}, but images must have 8 bits a channel: convert it '
            'to 8 bits, as docs/data.md shows.'
        )
