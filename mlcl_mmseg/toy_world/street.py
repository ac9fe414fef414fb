"""Arrange the things in a random street."""

from collections.abc import Iterator

import numpy as np

from .looks import Look
from .things import FAR, NEAR, Face, Thing, ThingMaker


class Street(ThingMaker):
    """A random street.

    Args:
        rng (np.random.Generator): Source of all random numbers.
        look (Look): The look of the domain, which has the colours and frequencies of things.
    """

    def __init__(self, rng: np.random.Generator, look: Look) -> None:
        super().__init__(rng, look)
        self.road = rng.uniform(*look.road_width) / 2
        self.pavement = self.road + rng.uniform(1.5, 4.0)

    def ground(self) -> list[Face]:
        """Faces of the terrain, the pavement, the road and its markings, in painting order."""
        width = 200.0
        faces = [self.strip('terrain', -width, width)]
        if self.chance(0.8):
            faces.append(self.strip('sidewalk', -self.pavement - 4, self.pavement + 4))
        else:
            faces.append(self.strip('sidewalk', -self.pavement, self.pavement))
        faces.append(self.strip('road', -self.road, self.road))
        if self.chance(self.look.markings):
            paint = self.colour('lane marking')
            start = self.rng.uniform(0, 4)
            faces += [
                self.strip('lane marking', -0.12, 0.12, near, near + 3.5, paint)
                for near in np.arange(NEAR + start, FAR / 2, 7.0)
            ]
        return faces

    def things(self) -> list[Thing]:
        """All things that stand on the ground, the farthest first."""
        things = [
            *self.horizon(),
            *self.block_fronts(-1),
            *self.block_fronts(1),
            *self.verge(-1),
            *self.verge(1),
            *self.traffic(),
            *self.pedestrians(),
        ]
        return sorted(things, key=lambda thing: -thing.depth)

    def horizon(self) -> Iterator[Thing]:
        """Distant houses and trees behind the end of the street."""
        for x in np.arange(-120, 120, 14.0):
            part = 'building' if self.chance(self.look.built_up) else 'vegetation'
            height = self.rng.uniform(4, 14)
            face = self.upright(part, x, x + 15, 0, height, FAR)
            yield Thing(FAR, [face])

    def block_fronts(self, side: int) -> Iterator[Thing]:
        """Houses, walls, fences and gardens along one side (-1 left, 1 right)."""
        x = side * (self.pavement + self.rng.uniform(0.0, 4.0))
        near = self.rng.uniform(-4, 2)
        while near < FAR - 10:
            far = near + self.rng.uniform(6, 16)
            if self.chance(self.look.built_up):
                yield self.house(x, max(near, NEAR), far)
            elif self.chance(0.5):
                part = 'wall' if self.chance(0.5) else 'fence'
                yield self.box(part, x, x + side, max(near, NEAR), far, self.rng.uniform(1, 2.2))
                yield self.tree(x + side * 4, (max(near, NEAR) + far) / 2 + 2)
            else:
                for z in np.arange(max(near, 4), far, 4.0):
                    yield self.tree(x + side * self.rng.uniform(0, 4), z)
            near = far + (self.rng.uniform(1, 5) if self.chance(0.3) else 0)

    def verge(self, side: int) -> Iterator[Thing]:
        """Trees, poles, traffic lights, traffic signs and parked cars along one side."""
        x = side * (self.road + 0.6)
        spacing = self.rng.uniform(7, 14)
        for z in np.arange(self.rng.uniform(4, 10), FAR / 2, spacing):
            if self.chance(self.look.greenery):
                yield self.tree(x + side * 0.8, z)
            elif self.chance(0.75):
                yield self.pole(x, z, -side)
        if self.chance(self.look.parking):
            for z in np.arange(self.rng.uniform(5, 12), FAR / 2, 6.0):
                if self.chance(0.7):
                    yield self.vehicle('car', side * (self.road - 1.1), z)

    def traffic(self) -> Iterator[Thing]:
        """Vehicles and riders on the road."""
        kinds = list(self.look.traffic)
        weights = np.array(list(self.look.traffic.values()))
        lanes = (-self.road / 2, self.road / 2)
        for _ in range(self.rng.poisson(self.look.busy)):
            kind = kinds[self.rng.choice(len(kinds), p=weights / weights.sum())]
            x = lanes[self.rng.integers(2)] + self.rng.uniform(-0.5, 0.5)
            z = self.rng.uniform(6, 40)
            if kind in ('bicycle', 'motorcycle'):
                yield self.rider(kind, x, z * 0.6)
            else:
                yield self.vehicle(kind, x, z)

    def pedestrians(self) -> Iterator[Thing]:
        """People, alone or in groups, mostly on the pavement."""
        for _ in range(self.rng.poisson(self.look.crowd)):
            side = self.rng.choice((-1, 1))
            reach = (self.road, self.pavement) if self.chance(0.8) else (0, self.road)
            x, z = side * self.rng.uniform(*reach), self.rng.uniform(5, 25)
            for _ in range(self.rng.integers(1, 4)):
                yield self.person(x, z)
                x += self.rng.uniform(0.5, 0.9)
