"""Open image files, with an error message that names a file that cannot be read."""

from pathlib import Path

from PIL import Image, UnidentifiedImageError

from ..errors import InputError

# name prefixes of Pillow's modes with more than 8 bits a channel; converted to RGB, most values of
# such an image become white
DEEP_MODES = ('I', 'F')
# the default remedy for a file that cannot be read
REPLACE = 'replace the file'


def open_image(path: str | Path, load: bool = True, remedy: str = REPLACE) -> Image.Image:
    """Open an image file with Pillow and close it again.

    Args:
        path (str | Path): The file.
        load (bool): Whether to decode the pixels; the checksums of a PNG are verified first. If
            False, only the header is read, and only ``mode`` and ``size`` of the result are valid.
        remedy (str): What the user can do if the file cannot be read, for the error message.

    Returns:
        Image.Image: The image, as it is stored.

    Raises:
        InputError: If the file is not an image, is damaged or cannot be opened.
    """
    try:
        if load:
            # decoding ignores the checksums, and one flipped bit may destroy a whole label
            with Image.open(path) as image:
                image.verify()
        with Image.open(path) as image:
            if load:
                image.load()
            return image
    # on a damaged file, Pillow's decoders raise exceptions of many types
    except Exception as error:
        raise InputError(f'{path} cannot be read ({reason(error)}): {remedy}.') from error


def reason(error: Exception) -> str:
    """Return the reason of an error, without the path that some messages repeat."""
    if isinstance(error, UnidentifiedImageError):
        return 'not an image in a known format'
    return getattr(error, 'strerror', None) or str(error) or type(error).__name__


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
            f'{path} has mode {image.mode}, but images must have 8 bits a channel: convert it.'
        )
