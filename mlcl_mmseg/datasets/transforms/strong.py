"""The strong view of a target crop: colour operations, one affine transform and one cutout.

See method.md §2 and §6-Q2.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from PIL import Image, ImageEnhance, ImageOps

FILL = (127, 127, 127)
MAGNITUDES = 10


def enhance(enhancement: type) -> Callable:
    """Return an enhancement as in FixMatch, whose factor is 0.05 to 0.95 by magnitude."""
    return lambda image, v: enhancement(image).enhance(0.9 * v / MAGNITUDES + 0.05)


COLOUR_OPS: dict[str, Callable[[Image.Image, int], Image.Image]] = {
    'autocontrast': lambda image, v: ImageOps.autocontrast(image),
    'brightness': enhance(ImageEnhance.Brightness),
    'colour': enhance(ImageEnhance.Color),
    'contrast': enhance(ImageEnhance.Contrast),
    'equalise': lambda image, v: ImageOps.equalize(image),
    'identity': lambda image, v: image,
    'posterise': lambda image, v: ImageOps.posterize(image, 4 * v // MAGNITUDES + 4),
    'sharpness': enhance(ImageEnhance.Sharpness),
    'solarise': lambda image, v: ImageOps.solarize(image, 256 - 256 * v // MAGNITUDES),
}


def flip_matrix(width: int) -> np.ndarray:
    """Return the matrix of a horizontal flip, (3, 3)."""
    return np.array([[-1.0, 0, width], [0, 1, 0], [0, 0, 1]])


def rotation_matrix(degrees: float, width: int, height: int) -> np.ndarray:
    """Return the matrix of a counter-clockwise rotation about the centre, (3, 3).

    It is the rotation of Pillow's ``Image.rotate``.
    """
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = width / 2, height / 2
    return np.array(
        [[cos, -sin, x - cos * x + sin * y], [sin, cos, y - sin * x - cos * y], [0, 0, 1]]
    )


def shear_matrix(x: float = 0, y: float = 0) -> np.ndarray:
    """Return the matrix of a shear about the top left corner, (3, 3)."""
    return np.array([[1.0, x, 0], [y, 1, 0], [0, 0, 1]])


def translation_matrix(x: float = 0, y: float = 0) -> np.ndarray:
    """Return the matrix of a translation in pixels, (3, 3)."""
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


# from signed magnitude (-9 to 9), width and height to a matrix
GEOMETRIC_OPS: dict[str, Callable[[int, int, int], np.ndarray]] = {
    'rotate': lambda v, w, h: rotation_matrix(math.trunc(30 * v / MAGNITUDES), w, h),
    'shear_x': lambda v, w, h: shear_matrix(x=0.3 * v / MAGNITUDES),
    'shear_y': lambda v, w, h: shear_matrix(y=0.3 * v / MAGNITUDES),
    'translate_x': lambda v, w, h: translation_matrix(x=math.trunc(0.3 * v / MAGNITUDES * w)),
    'translate_y': lambda v, w, h: translation_matrix(y=math.trunc(0.3 * v / MAGNITUDES * h)),
}
OPS = (*COLOUR_OPS, *GEOMETRIC_OPS)


def warp_image(image: Image.Image, affine: np.ndarray) -> Image.Image:
    """Warp an image by nearest-neighbour sampling. Points outside the image become grey.

    Args:
        image (Image.Image): The RGB image.
        affine (np.ndarray): (2, 3), the map from a point of the result to a point of ``image`` in
            continuous pixel coordinates (the centre of the first pixel is (0.5, 0.5)).

    Returns:
        Image.Image: The RGB result, of the same size.
    """
    return image.transform(
        image.size, Image.Transform.AFFINE, affine.ravel().tolist(), fillcolor=FILL
    )


def random_cutout(width: int, height: int) -> tuple[int, int, int, int]:
    """Draw a random square with sides of ⌊min(width, height) / 3⌋, clipped to the image.

    Returns:
        tuple[int, int, int, int]: x0, y0, x1, y1 of the square; x1 and y1 are exclusive.
    """
    side = min(width, height) // 3
    x0 = int(max(0, np.random.uniform(0, width) - side / 2))
    y0 = int(max(0, np.random.uniform(0, height) - side / 2))
    return x0, y0, min(x0 + side, width), min(y0 + side, height)


@TRANSFORMS.register_module()
class StrongAugmentation(BaseTransform):
    """Create the strong view of a target crop and record its geometry.

    It applies a flip, operations drawn from the FixMatch pool and a cutout. Colour operations are
    applied in the order in which they are drawn. The flip and all geometric operations are composed
    into one affine transform, which warps the image once. The training step applies the same
    transform and cutout to the pseudo-labels, so that image and label always match.

    It adds ``strong_img`` (H, W, 3) uint8 BGR, ``strong_affine`` (2, 3) float32, the map from
    strong-view pixels to weak-view pixels in continuous coordinates, and ``strong_cutout`` (4,)
    int64, x0, y0, x1, y1 of the cutout, where x1 and y1 are exclusive.

    Args:
        draws (int): Number of operations drawn from the pool.
        prob (float): Probability that a drawn operation is applied, and probability of the flip.
    """

    def __init__(self, draws: int = 2, prob: float = 0.5) -> None:
        self.draws = draws
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Add the strong view of ``img`` (H, W, 3) uint8 BGR."""
        image = Image.fromarray(cv2.cvtColor(results['img'], cv2.COLOR_BGR2RGB))
        width, height = image.size
        affine = np.eye(3)
        if np.random.random() < self.prob:
            affine = affine @ flip_matrix(width)
        for _ in range(self.draws):
            name = OPS[np.random.randint(len(OPS))]
            magnitude = np.random.randint(1, MAGNITUDES)
            sign = np.random.choice((-1, 1))
            if np.random.random() >= self.prob:
                continue
            if name in COLOUR_OPS:
                image = COLOUR_OPS[name](image, magnitude)
            else:
                affine = affine @ GEOMETRIC_OPS[name](sign * magnitude, width, height)
        warped = warp_image(image, affine[:2])
        strong = cv2.cvtColor(np.asarray(warped), cv2.COLOR_RGB2BGR)
        x0, y0, x1, y1 = cutout = random_cutout(width, height)
        strong[y0:y1, x0:x1] = FILL
        results['strong_img'] = strong
        results['strong_affine'] = affine[:2].astype(np.float32)
        results['strong_cutout'] = np.array(cutout)
        return results
