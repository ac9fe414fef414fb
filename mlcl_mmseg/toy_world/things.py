"""The things in a street, in world coordinates: x to the right, y up, z ahead, in metres."""

from typing import NamedTuple

import numpy as np

from .looks import Look

FAR = 90.0
NEAR = 1.0
Colour = tuple[float, float, float]


class Face(NamedTuple):
    """A flat polygon.

    Attributes:
        part (str): The part it belongs to, one of :data:`~mlcl_mmseg.toy_world.paint.PARTS`.
        corners (np.ndarray): (K, 3) world coordinates.
        colour (Colour): RGB from 0 to 1.
    """

    part: str
    corners: np.ndarray
    colour: Colour


class Thing(NamedTuple):
    """An object in the street; nearer things cover farther ones.

    Attributes:
        depth (float): Distance in metres, by which things are ordered.
        faces (list[Face]): Its faces in painting order.
    """

    depth: float
    faces: list[Face]


class ThingMaker:
    """Makes houses, trees, vehicles and people with random variation.

    Args:
        rng (np.random.Generator): Source of all random numbers.
        look (Look): The look of the domain, which has the colours and proportions.
    """

    def __init__(self, rng: np.random.Generator, look: Look) -> None:
        self.rng = rng
        self.look = look

    def house(self, x: float, near: float, far: float) -> Thing:
        """A house with windows; its front lies in the plane at ``x``."""
        height = self.rng.uniform(*self.look.storeys) * 3
        thing = self.box('building', x, x + np.sign(x) * 12, near, far, height)
        glass = self.shade(self.colour('window'), self.rng.uniform(0.7, 1.2))
        for low in np.arange(1.0, height - 1.5, 3.0):
            for z in np.arange(near + 1, min(far - 1.2, 45), 2.6):
                corners = [(x, low, z), (x, low, z + 1.3), (x, low + 1.6, z + 1.3)]
                corners.append((x, low + 1.6, z))
                thing.faces.append(Face('building', np.array(corners), glass))
        return thing

    def tree(self, x: float, z: float) -> Thing:
        """A tree, whose crown consists of several ellipses."""
        height = self.rng.uniform(3, 8)
        colour = self.colour('vegetation')
        bark = (0.3, 0.24, 0.2)
        faces = [self.upright('vegetation', x - 0.15, x + 0.15, 0, height * 0.6, z, bark)]
        for _ in range(6):
            radius = height * self.rng.uniform(0.18, 0.3)
            dx, dy = self.rng.uniform(-0.25, 0.25) * height, self.rng.uniform(0.5, 0.9) * height
            tone = self.shade(colour, self.rng.uniform(0.7, 1.2))
            faces.append(self.disc('vegetation', x + dx, dy, z, radius, radius * 0.8, tone))
        return Thing(z, faces)

    def pole(self, x: float, z: float, towards: int) -> Thing:
        """A pole, alone or with a traffic light or a traffic sign.

        Args:
            x (float): Position across the street.
            z (float): Position along the street.
            towards (int): Side on which a traffic light hangs, -1 left, 1 right.
        """
        height = self.rng.uniform(3, 6)
        faces = [self.upright('pole', x - 0.13, x + 0.13, 0, height, z)]
        kind = self.rng.choice(('bare', 'light', 'sign'), p=(0.2, 0.35, 0.45))
        if kind == 'light':
            x += towards * 0.2
            faces.append(self.upright('traffic light', x - 0.3, x + 0.3, 2.6, 4.2, z))
            lamp = ((0.9, 0.15, 0.1), (0.95, 0.7, 0.1), (0.1, 0.8, 0.3))[self.rng.integers(3)]
            y = 2.9 + 0.5 * self.rng.integers(3)
            faces.append(self.disc('traffic light', x, y, z, 0.2, 0.2, lamp))
        elif kind == 'sign':
            size = self.rng.uniform(0.45, 0.7)
            colour = self.colour('traffic sign')
            if self.chance(0.5):
                faces.append(self.disc('traffic sign', x, 2.8, z, size, size, colour))
                inner = self.shade((0.95, 0.95, 0.95), self.look.light[1])
                faces.append(self.disc('traffic sign', x, 2.8, z, size * 0.6, size * 0.6, inner))
            else:
                faces.append(
                    self.upright(
                        'traffic sign', x - size, x + size, 2.2, 2.2 + size * 1.6, z, colour
                    )
                )
        return Thing(z, faces)

    def vehicle(self, kind: str, x: float, z: float) -> Thing:
        """A vehicle parallel to the street; ``kind`` is 'car', 'truck', 'bus' or 'train'."""
        width, height, length = dict(
            car=(1.8, 1.5, 4.2), truck=(2.4, 3.2, 8), bus=(2.5, 3.1, 10), train=(2.6, 3.4, 24)
        )[kind]
        colour = self.colour(kind)
        left, right = x - width / 2, x + width / 2
        side = left if x > 0 else right
        shadow = self.shade(self.colour('road'), 0.4)
        dark = (0.08, 0.09, 0.1)
        faces = [
            Face('road', rectangle_on_ground(left - 0.1, right + 0.1, z - 0.2, z + length), shadow)
        ]
        body = height * (0.6 if kind == 'car' else 1.0)
        faces += self.block(kind, left, right, side, z, z + length, 0.25, body, colour)
        if kind == 'car':
            inset = width * 0.12
            inner = side + inset * (1 if side == left else -1)
            roof = (z + 1.0, z + length - 0.7, body, height)
            pale = self.shade(colour, 0.9)
            faces += self.block(kind, left + inset, right - inset, inner, *roof, pale)
            glass = self.colour('window')
            faces.append(
                self.upright(kind, left + 0.3, right - 0.3, body, height - 0.15, z + 1.0, glass)
            )
        else:
            glass = self.colour('window')
            faces.append(
                self.upright(kind, left + 0.2, right - 0.2, height * 0.5, height * 0.85, z, glass)
            )
        for wheel in (left + 0.25, right - 0.25):
            faces.append(self.disc(kind, wheel, 0.32, z, 0.28, 0.32, dark))
        for lamp in (left + 0.25, right - 0.25):
            red = (0.85, 0.1, 0.1) if x > 0 else (0.95, 0.95, 0.85)
            faces.append(self.disc(kind, lamp, body * 0.75, z, 0.16, 0.1, red))
        return Thing(z, faces)

    def person(self, x: float, z: float, part: str = 'person', foot: float = 0.0) -> Thing:
        """A person who stands or walks; ``foot`` is the height of the feet above the ground."""
        height = self.rng.uniform(1.5, 1.95)
        clothes, trousers = self.colour('person'), self.shade(self.colour('person'), 0.6)
        skin = self.colour('skin')
        half = height * 0.14
        stride = self.rng.uniform(0, 0.2)
        faces = [
            self.upright(part, x - half - stride, x - 0.02, foot, foot + height * 0.5, z, trousers),
            self.upright(part, x + 0.02, x + half + stride, foot, foot + height * 0.5, z, trousers),
            self.disc(part, x, foot + height * 0.64, z, half * 1.35, height * 0.22, clothes),
            self.disc(part, x, foot + height * 0.92, z, height * 0.08, height * 0.09, skin),
        ]
        return Thing(z, faces)

    def rider(self, kind: str, x: float, z: float) -> Thing:
        """A person on a vehicle; ``kind`` is 'bicycle' or 'motorcycle'."""
        colour = self.colour(kind)
        wide = 0.18 if kind == 'bicycle' else 0.3
        body = self.person(x, z, part='rider', foot=0.55).faces[2:]
        machine = [
            self.disc(kind, x, 0.4, z, wide, 0.42, (0.1, 0.1, 0.1)),
            self.upright(kind, x - wide, x + wide, 0.4, 0.95, z, colour),
            self.upright(kind, x - 0.4, x + 0.4, 0.95, 1.08, z, colour),
        ]
        return Thing(z, [*machine, *body])

    def box(
        self, part: str, x: float, back: float, near: float, far: float, height: float
    ) -> Thing:
        """A box from ``x`` (its front) to ``back``, with one end facing the camera."""
        colour = self.colour(part)
        faces = self.block(part, min(x, back), max(x, back), x, near, far, 0, height, colour)
        return Thing(near if near > NEAR else far, faces)

    def block(
        self,
        part: str,
        left: float,
        right: float,
        side: float,
        near: float,
        far: float,
        low: float,
        high: float,
        colour: Colour,
    ) -> list[Face]:
        """The visible faces of a box: its top, its side at ``side`` and its near end."""
        along = [(side, low, near), (side, low, far), (side, high, far), (side, high, near)]
        top = [(left, high, near), (right, high, near), (right, high, far), (left, high, far)]
        lit = self.look.light[0 if side == left else 1]
        return [
            Face(part, np.array(top), self.shade(colour, 1.1)),
            Face(part, np.array(along), self.shade(colour, lit)),
            self.upright(part, left, right, low, high, near, self.shade(colour, 0.85)),
        ]

    def strip(
        self,
        part: str,
        left: float,
        right: float,
        near: float = NEAR,
        far: float = 4 * FAR,
        colour: Colour | None = None,
    ) -> Face:
        """A strip of ground along the street, with enough corners to follow its bend."""
        z = np.geomspace(near, far, 24)
        x = np.concatenate([np.full(24, left), np.full(24, right)])
        corners = np.stack([x, np.zeros(48), np.concatenate([z, z[::-1]])], axis=1)
        return Face(part, corners, colour or self.colour(part))

    def upright(
        self,
        part: str,
        left: float,
        right: float,
        low: float,
        high: float,
        z: float,
        colour: Colour | None = None,
    ) -> Face:
        """An upright rectangle that faces the camera."""
        corners = [(left, low, z), (right, low, z), (right, high, z), (left, high, z)]
        return Face(part, np.array(corners), colour or self.colour(part))

    def disc(
        self, part: str, x: float, y: float, z: float, rx: float, ry: float, colour: Colour
    ) -> Face:
        """An upright ellipse that faces the camera."""
        angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        corners = [x + rx * np.cos(angle), y + ry * np.sin(angle), np.full(14, z)]
        return Face(part, np.stack(corners, axis=1), colour)

    def colour(self, part: str) -> Colour:
        """A random colour of a part, close to one of the look's colours for it."""
        choices = self.look.colours[part]
        base = np.array(choices[self.rng.integers(len(choices))])
        red, green, blue = base * self.rng.uniform(0.85, 1.15) + self.rng.normal(0, 0.015, 3)
        return red, green, blue

    def shade(self, colour: Colour, factor: float) -> Colour:
        """A colour multiplied by a factor of brightness."""
        red, green, blue = colour
        return factor * red, factor * green, factor * blue

    def chance(self, probability: float) -> bool:
        """Draw True with this probability."""
        return self.rng.random() < probability


def rectangle_on_ground(left: float, right: float, near: float, far: float) -> np.ndarray:
    """Corners (4, 3) of a rectangle on the ground, in world coordinates."""
    return np.array([(left, 0, near), (right, 0, near), (right, 0, far), (left, 0, far)])
