"""Open image files, with an error message that names a file that cannot be read."""

import functools
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from ..errors import InputError, printable
from ..untrusted_files import REPLACE, check_regular_file

# Pillow reads more formats, but some of those readers start other programs (EPS) or read other
# files. JPEG includes the files of cameras with several pictures (MPO).
FORMATS = ('PNG', 'JPEG', 'BMP', 'TIFF', 'WEBP', 'PPM', 'GIF', 'JPEG2000')
# the suffixes of files in these formats
IMAGE_SUFFIXES = (
    *('.png', '.jpg', '.jpeg', '.jfif', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm', '.jp2'),
)
# Pillow's modes of images that MMCV converts to RGB with all their colours
IMAGE_MODES = ('RGB', 'L', 'P', '1', 'RGBA', 'LA', 'PA', 'CMYK', 'YCbCr')
# the environment variable that sets the largest number of pixels of an image
MAX_PIXELS = 'MLCL_MAX_PIXELS'


@functools.cache
def set_max_pixels() -> None:
    """Let Pillow use the limit of the environment variable, if it is set.

    Raises:
        InputError: If the variable is not a positive integer.
    """
    value = os.environ.get(MAX_PIXELS)
    if not value:
        return
    if not value.isdecimal() or not int(value):
        raise InputError(f'{MAX_PIXELS} is {value!r}: set it to a number of pixels, or unset it.')
    # Pillow warns of images above its limit and refuses those above twice this limit
    Image.MAX_IMAGE_PIXELS = (int(value) + 1) // 2


def open_image(path: str | Path, load: bool = True, remedy: str = REPLACE) -> ImageFile:
    """Open an image file with Pillow and close it again.

    Args:
        path (str | Path): The file.
        load (bool): Whether to decode the pixels; the checksums of a PNG are verified first. If
            False, only the header is read, and only ``mode``, ``size``, ``format``, ``info`` and
            ``tile`` of the result are valid.
        remedy (str): What the user can do if the file cannot be read, for the error message.

    Returns:
        ImageFile: The image, as it is stored.

    Raises:
        MissingFileError: If the file does not exist.
        InputError: If it is not a regular file, is not an image in one of :data:`FORMATS`, is
            damaged, cannot be opened, has too many pixels or has several frames.
    """
    check_regular_file(path, remedy)
    set_max_pixels()
    try:
        if load:
            # decoding ignores the checksums, and one flipped bit may destroy a whole label
            with Image.open(path, formats=FORMATS) as image:
                image.verify()
        with Image.open(path, formats=FORMATS) as image:
            check_frames(image, path)
            if load:
                image.load()
            return image
    except InputError:
        raise
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


def without_suffix(name: str, suffixes: Sequence[str]) -> str:
    """Remove the longest of these suffixes, in upper or lower case, from the name of a file."""
    found = [each for each in suffixes if name.lower().endswith(each.lower())]
    return name[: len(name) - len(max(found, key=len, default=''))]


def count_suffixes(paths: Iterable[Path]) -> str:
    """Count files by suffix, such as '3 .heic, 1 .mp4'; '' if there are none."""
    counts = Counter(path.suffix.lower() or 'without suffix' for path in paths)
    return ', '.join(f'{count} {printable(suffix)}' for suffix, count in counts.most_common())


def check_frames(image: Image.Image, path: str | Path) -> None:
    """Check that an open image file has one frame.

    The further pictures of a camera (MPO) are previews, or those of a second lens.

    Raises:
        InputError: If it is an animation, or has several pages.
    """
    if image.format != 'MPO' and getattr(image, 'is_animated', False):
        raise InputError(
            f'{path} has several frames or pages, but an image file must have one: save each of '
            'them as a file, as docs/data.md shows.'
        )


def check_depth(image: Image.Image, path: str | Path) -> None:
    """Check that an image has colours that can be read as RGB with 8 bits a channel.

    Args:
        image (Image.Image): The image. Its pixels need not be loaded.
        path (str | Path): The file that it was read from, for error messages.

    Raises:
        InputError: If it has another mode: most values of more than 8 bits would become white.
    """
    if image.mode not in IMAGE_MODES:
        raise InputError(
            f'{path} has mode {image.mode}, but images must have 8 bits a channel and a mode among '
            f'{", ".join(IMAGE_MODES)}: convert it to RGB, as docs/data.md shows.'
        )


def orientation(path: str | Path) -> int:
    """Return the EXIF orientation of an image file: 1 to 8, where 1 means not rotated.

    It is 1 if the file has none or if its EXIF block is damaged, which does not concern its pixels.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            found = image.getexif().get(ExifTags.Base.Orientation)
    # on a damaged block, Pillow raises exceptions of many types
    except Exception:
        return 1
    return found if found in range(2, 9) else 1
