"""Render a street as an image and its label: projection, painting, light, lens and sensor."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .looks import Look
from .street import Street
from .things import FAR, NEAR, Face

# the parts that the world is made of; labels are indices into this tuple
PARTS = (
    *('road', 'lane marking', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light'),
    *('traffic sign', 'vegetation', 'terrain', 'sky', 'person', 'rider', 'car', 'truck', 'bus'),
    *('train', 'motorcycle', 'bicycle'),
)
# strength of fine and of coarse texture by part; it is 0.05 for all other parts
TEXTURE = {
    'vegetation': (0.30, 0.25),
    'terrain': (0.20, 0.20),
    'road': (0.06, 0.06),
    'sidewalk': (0.10, 0.05),
    'building': (0.05, 0.10),
    'wall': (0.12, 0.10),
    'fence': (0.25, 0.00),
    'sky': (0.00, 0.00),
}
SUPERSAMPLING = 2


class Camera:
    """A pinhole camera in a street that may turn and bend.

    Args:
        rng (np.random.Generator): Source of the random position and orientation.
        look (Look): Its ranges of the camera height and of the horizon are used.
        width (int): Width of the image in pixels.
        height (int): Height of the image in pixels.
    """

    def __init__(self, rng: np.random.Generator, look: Look, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.focal = width * rng.uniform(0.65, 0.8)
        self.above_ground = rng.uniform(*look.camera_height)
        self.horizon = height * (1 - rng.uniform(*look.horizon))
        self.offset = rng.uniform(-1.5, 2.5)
        self.turn = rng.normal(0, 0.06)
        self.bend = rng.normal(0, 0.0015)

    def project(self, corners: np.ndarray) -> list[tuple[float, float]]:
        """Project world coordinates (K, 3) in metres to pixel coordinates (u, v)."""
        x, y, z = corners.T
        z = np.maximum(z, NEAR)
        x = x - self.offset + self.turn * z + self.bend * z**2
        u = self.width / 2 + self.focal * x / z
        v = self.horizon + self.focal * (self.above_ground - y) / z
        return list(zip(u.tolist(), v.tolist()))

    def ground_depth(self) -> np.ndarray:
        """Distance of the ground in each image row, (H,) in metres; FAR above the horizon."""
        below = np.arange(self.height) + 0.5 - self.horizon
        with np.errstate(divide='ignore'):
            depth = self.focal * self.above_ground / below
        return np.where(below > 0, np.minimum(depth, FAR), FAR)


class Canvas:
    """Colour, part and depth of every pixel; faces are painted from far to near.

    All pixels are sky at first.

    Args:
        camera (Camera): It projects the faces.
    """

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        size = camera.width, camera.height
        self.colour = Image.new('RGB', size)
        self.part = Image.new('L', size, PARTS.index('sky'))
        depth = np.repeat(camera.ground_depth()[:, None], camera.width, axis=1)
        self.depth = Image.fromarray(depth.astype(np.float32))
        self.brushes = [ImageDraw.Draw(each) for each in (self.colour, self.part, self.depth)]

    def paint(self, face: Face, depth: float | None = None) -> None:
        """Paint a face.

        Args:
            face (Face): The face.
            depth (float, optional): Distance in metres. None keeps the depth of the ground.
        """
        pixels = self.camera.project(face.corners)
        colour = tuple(int(255 * min(max(value, 0), 1)) for value in face.colour)
        values = colour, PARTS.index(face.part), depth
        for brush, value in zip(self.brushes, values):
            if value is not None:
                brush.polygon(pixels, fill=value)


def draw_scene(
    rng: np.random.Generator, look: Look, width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a random street with the look of a domain.

    Args:
        rng (np.random.Generator): The scene is a function of its state.
        look (Look): The look of the domain.
        width (int): Width of the image in pixels.
        height (int): Height of the image in pixels.

    Returns:
        tuple[np.ndarray, np.ndarray]: Image (H, W, 3) uint8 RGB, and label (H, W) uint8 of indices
        into :data:`PARTS`.
    """
    street = Street(rng, look)
    camera = Camera(rng, look, width * SUPERSAMPLING, height * SUPERSAMPLING)
    canvas = Canvas(camera)
    canvas.colour.paste(Image.fromarray(to_bytes(sky(rng, look, camera, street.colour('sky')))))
    for face in street.ground():
        canvas.paint(face)
    for thing in street.things():
        for face in thing.faces:
            canvas.paint(face, thing.depth)
    part = np.asarray(canvas.part)
    image = np.asarray(canvas.colour).astype(np.float32) / 255
    image = image * texture(rng, look, part)[..., None]
    photograph = take_photograph(rng, look, image, np.asarray(canvas.depth), part)
    photograph = photograph.resize((width, height), Image.Resampling.BOX)
    image = np.asarray(photograph) + rng.normal(0, 255 * look.noise, (height, width, 3))
    label = part[SUPERSAMPLING // 2 :: SUPERSAMPLING, SUPERSAMPLING // 2 :: SUPERSAMPLING]
    return image.clip(0, 255).astype(np.uint8), label.copy()


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> np.ndarray:
    """Smooth noise (H, W) with mean 0, a deviation of about 1 and a scale of ``cell`` pixels."""
    height, width = (max(2, round(length / cell)) for length in shape)
    noise = Image.fromarray(rng.normal(0, 1, (height, width)).astype(np.float32))
    return np.asarray(noise.resize(shape[::-1], Image.Resampling.BICUBIC))


def sky(
    rng: np.random.Generator, look: Look, camera: Camera, colour: tuple[float, float, float]
) -> np.ndarray:
    """A sky (H, W, 3), RGB from 0 to 1, with clouds; it becomes paler towards the horizon."""
    shape = camera.height, camera.width
    up = np.linspace(1, 0, camera.height)[:, None, None]
    base = np.array(colour) * (0.75 + 0.25 * up) + 0.25 * (1 - up)
    clouds = smooth_noise(rng, shape, camera.height / 5) + smooth_noise(
        rng, shape, camera.height / 12
    )
    share = np.clip((clouds + 3 * look.clouds - 1.5) / 1.5, 0, 1)[..., None] * 0.7
    return base * (1 - share) + np.array([0.93, 0.94, 0.95]) * share


def texture(rng: np.random.Generator, look: Look, part: np.ndarray) -> np.ndarray:
    """Random factors (H, W) around 1, with the fine and coarse texture of each pixel's part."""
    strength = np.array([TEXTURE.get(name, (0.05, 0.05)) for name in PARTS]) * look.texture
    fine = smooth_noise(rng, part.shape, part.shape[0] / 100)
    coarse = smooth_noise(rng, part.shape, part.shape[0] / 25)
    return 1 + strength[part, 0] * fine + strength[part, 1] * coarse


def take_photograph(
    rng: np.random.Generator, look: Look, image: np.ndarray, depth: np.ndarray, part: np.ndarray
) -> Image.Image:
    """Apply haze, light, saturation, contrast and blur of a look; haze and light are random.

    Args:
        rng (np.random.Generator): Source of the variation between images.
        look (Look): The look of the domain.
        image (np.ndarray): (H, W, 3) RGB from 0 to 1.
        depth (np.ndarray): (H, W) distance of each pixel in metres.
        part (np.ndarray): (H, W) indices into :data:`PARTS`.

    Returns:
        Image.Image: The photograph, 8-bit RGB.
    """
    haze = 1 - (1 - look.haze * rng.uniform(0.6, 1.2)) ** (depth / 100)
    haze = np.where(part == PARTS.index('sky'), 0, haze)[..., None]
    image = image * (1 - haze) + np.array(look.haze_colour) * haze
    gain = np.array(look.gain) * rng.normal(1, look.gain_spread, 3)
    image = image * gain * rng.normal(1, 2 * look.gain_spread)
    grey = image.mean(axis=2, keepdims=True)
    image = grey + (image - grey) * look.saturation
    image = 0.5 + (image - 0.5) * look.contrast
    photograph = Image.fromarray(to_bytes(image))
    return photograph.filter(ImageFilter.GaussianBlur(look.blur * image.shape[0]))


def to_bytes(image: np.ndarray) -> np.ndarray:
    """Convert values from 0 to 1 to uint8, with clipping."""
    return (255 * image).clip(0, 255).astype(np.uint8)
