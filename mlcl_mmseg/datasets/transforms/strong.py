"""The strong view of a target crop: colours, one affine, one cutout (method.md §2, §6-Q2)."""

import math
from collections.abc import Callable

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from PIL import Image, ImageEnhance, ImageOps

FILL = (127, 127, 127)
MAGNITUDES = 10


def enhance(kind: type) -> Callable:
    """A FixMatch enhancement: factor 0.05 to 0.95 by magnitude."""
    return lambda image, v: kind(image).enhance(0.9 * v / MAGNITUDES + 0.05)


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
    """Horizontal flip, (3, 3)."""
    return np.array([[-1.0, 0, width], [0, 1, 0], [0, 0, 1]])


def rotation_matrix(degrees: float, width: int, height: int) -> np.ndarray:
    """Rotation about the centre, counter-clockwise as in ``Image.rotate``, (3, 3)."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = width / 2, height / 2
    return np.array(
        [[cos, -sin, x - cos * x + sin * y], [sin, cos, y - sin * x - cos * y], [0, 0, 1]]
    )


def shear_matrix(x: float = 0, y: float = 0) -> np.ndarray:
    """Shear about the top left corner, (3, 3)."""
    return np.array([[1.0, x, 0], [y, 1, 0], [0, 0, 1]])


def translation_matrix(x: float = 0, y: float = 0) -> np.ndarray:
    """Translation in pixels, (3, 3)."""
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


# magnitude with sign (-9 to 9), width, height -> matrix
GEOMETRIC_OPS: dict[str, Callable[[int, int, int], np.ndarray]] = {
    'rotate': lambda v, w, h: rotation_matrix(math.trunc(30 * v / MAGNITUDES), w, h),
    'shear_x': lambda v, w, h: shear_matrix(x=0.3 * v / MAGNITUDES),
    'shear_y': lambda v, w, h: shear_matrix(y=0.3 * v / MAGNITUDES),
    'translate_x': lambda v, w, h: translation_matrix(x=math.trunc(0.3 * v / MAGNITUDES * w)),
    'translate_y': lambda v, w, h: translation_matrix(y=math.trunc(0.3 * v / MAGNITUDES * h)),
}
OPS = (*COLOUR_OPS, *GEOMETRIC_OPS)


def warp_image(image: Image.Image, affine: np.ndarray) -> Image.Image:
    """Warp an image, nearest neighbour, grey where nothing is known.

    Args:
        image (Image.Image): RGB.
        affine (np.ndarray): (2, 3), from a point of the result to a point of ``image``, in
            continuous pixel coordinates (the first pixel's centre is (0.5, 0.5)).

    Returns:
        Image.Image: RGB, the same size.
    """
    return image.transform(
        image.size, Image.Transform.AFFINE, affine.ravel().tolist(), fillcolor=FILL
    )


def random_cutout(width: int, height: int) -> tuple[int, int, int, int]:
    """Draw a square of side ⌊min(w, h)/3⌋ clipped to the image: x0, y0, x1, y1, end exclusive."""
    side = min(width, height) // 3
    x0 = int(max(0, np.random.uniform(0, width) - side / 2))
    y0 = int(max(0, np.random.uniform(0, height) - side / 2))
    return x0, y0, min(x0 + side, width), min(y0 + side, height)


@TRANSFORMS.register_module()
class StrongAugmentation(BaseTransform):
    """Make the second, strong view of a target crop and record its geometry.

    A flip, then draws from the FixMatch pool, then a cutout. Colour operations are applied in the
    order drawn; the flip and all geometric draws are composed into one affine, which warps the
    image once. Pseudo-labels get that same affine and box in the step, so image and label agree by
    construction.

    Adds ``strong_img`` (H, W, 3), ``strong_affine`` (2, 3) float32 from strong-view to weak-view
    pixels (continuous coordinates) and ``strong_cutout`` (4,) int64, x0, y0, x1, y1, end exclusive.

    Args:
        draws (int): Number of draws from the pool.
        prob (float): Probability that a draw is applied, and that of the flip.
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
