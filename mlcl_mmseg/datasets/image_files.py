"""Image files: open them, and say in a sentence which one cannot be read."""

from pathlib import Path

from PIL import Image, UnidentifiedImageError

from ..errors import InputError

# how Pillow's names of modes begin whose values have more than 8 bits; read as RGB, most become
# white
DEEP_MODES = ('I', 'F')
# what to do about a file that cannot be read
REPLACE = 'replace the file'


def open_image(path: str | Path, load: bool = True, remedy: str = REPLACE) -> Image.Image:
    """Open an image file with Pillow and close it again.

    Args:
        path (str | Path): The file.
        load (bool): Whether to decode the pixels, of a PNG after a look at its checksums. If not,
            only the header is read, and the result serves for its ``mode`` and ``size`` alone.
        remedy (str): What to do if it cannot be read.

    Returns:
        Image.Image: The image, as it is stored.

    Raises:
        InputError: If the file is no image, is damaged or cannot be opened.
    """
    try:
        if load:
            # decoding passes over them: a flipped bit may leave nothing of a label
            with Image.open(path) as image:
                image.verify()
        with Image.open(path) as image:
            if load:
                image.load()
            return image
    # Pillow's decoders pass on whatever a damaged file makes them stumble over
    except Exception as error:
        raise InputError(f'{path} cannot be read ({reason(error)}): {remedy}.') from error


def reason(error: Exception) -> str:
    """What went wrong, without the path that some messages repeat."""
    if isinstance(error, UnidentifiedImageError):
        return 'no image in a known format'
    return getattr(error, 'strerror', None) or str(error) or type(error).__name__


def check_depth(image: Image.Image, path: str | Path) -> None:
    """Check what the header of an image tells.

    Args:
        image (Image.Image): The image; its pixels need not be loaded.
        path (str | Path): The file it came from, for error messages.

    Raises:
        InputError: If its values do not fit into 8 bits.
    """
    if image.mode.startswith(DEEP_MODES):
        raise InputError(
            f'{path} has mode {image.mode}, but images are read with 8 bits a channel: convert it.'
        )
