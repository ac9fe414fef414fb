"""The looks of the toy world, one per data set.

They differ enough for a real domain gap, and little enough for adaptation to reduce it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Colours = tuple[tuple[float, float, float], ...]
Range = tuple[float, float]

# RGB from 0 to 1; a look may override some of them
COLOURS: dict[str, Colours] = {
    'road': ((0.36, 0.36, 0.38),),
    'lane marking': ((0.85, 0.85, 0.82),),
    'sidewalk': ((0.58, 0.55, 0.53),),
    'terrain': ((0.42, 0.50, 0.25),),
    'building': ((0.62, 0.50, 0.42), (0.70, 0.65, 0.55), (0.50, 0.45, 0.45), (0.60, 0.38, 0.30)),
    'window': ((0.20, 0.25, 0.32),),
    'wall': ((0.55, 0.50, 0.46),),
    'fence': ((0.45, 0.38, 0.30), (0.40, 0.42, 0.44)),
    'pole': ((0.35, 0.36, 0.36), (0.5, 0.5, 0.5)),
    'traffic light': ((0.12, 0.12, 0.10), (0.85, 0.65, 0.10)),
    'traffic sign': ((0.10, 0.25, 0.70), (0.80, 0.12, 0.12), (0.95, 0.80, 0.10)),
    'vegetation': ((0.22, 0.42, 0.15), (0.30, 0.48, 0.18), (0.16, 0.34, 0.16)),
    'sky': ((0.45, 0.65, 0.95),),
    'person': (
        (0.60, 0.15, 0.15),
        (0.15, 0.20, 0.45),
        (0.20, 0.20, 0.20),
        (0.80, 0.78, 0.72),
        (0.70, 0.50, 0.15),
    ),
    'skin': ((0.80, 0.60, 0.48), (0.50, 0.34, 0.25)),
    'car': (
        (0.75, 0.10, 0.10),
        (0.85, 0.85, 0.87),
        (0.12, 0.12, 0.14),
        (0.15, 0.25, 0.60),
        (0.55, 0.57, 0.60),
    ),
    'truck': ((0.85, 0.82, 0.75), (0.75, 0.45, 0.10), (0.20, 0.40, 0.30)),
    'bus': ((0.85, 0.65, 0.10), (0.70, 0.12, 0.12), (0.85, 0.85, 0.85)),
    'train': ((0.65, 0.10, 0.15), (0.80, 0.80, 0.60)),
    'motorcycle': ((0.15, 0.15, 0.15), (0.70, 0.10, 0.10)),
    'bicycle': ((0.15, 0.15, 0.18), (0.20, 0.35, 0.60)),
}


@dataclass(frozen=True)
class Look:
    """How the streets of one data set are built, lit and photographed.

    Attributes:
        colours (Mapping): RGB colours, from 0 to 1, that each part may have.
        built_up (float): Share of the plots along the street with a house on them, from 0 to 1.
        greenery (float): Share of the places on the verge with a tree on them, from 0 to 1.
        parking (float): Probability that cars are parked on a side of the street.
        markings (float): Probability of lane markings.
        busy (float): Mean number of vehicles and riders.
        crowd (float): Mean number of groups of people.
        traffic (Mapping): Relative frequency of each type of vehicle and rider.
        storeys (Range): Number of storeys of houses.
        road_width (Range): Width of the road in metres.
        camera_height (Range): Height of the camera above the ground in metres.
        horizon (Range): Height of the horizon in the image, from 0 (bottom) to 1 (top).
        light (Range): Brightness of surfaces on the left and on the right of the camera.
        gain (tuple): Colour of the light as factors of RGB.
        gain_spread (float): Standard deviation of the gain between images.
        contrast (float): Factor of the difference from medium grey.
        saturation (float): Factor of the saturation; 0 is grey, 1 leaves colours unchanged.
        haze (float): Share of haze in the colour of a point 100 metres away, from 0 to 1.
        haze_colour (tuple): RGB colour of the haze, from 0 to 1.
        texture (float): Factor of the strength of textures.
        blur (float): Standard deviation of the blur of the lens, relative to the image height.
        noise (float): Standard deviation of the noise of the sensor, for values from 0 to 1.
        clouds (float): Approximate share of the sky that is covered by clouds, from 0 to 1.
    """

    colours: Mapping[str, Colours] = field(default_factory=lambda: COLOURS)
    built_up: float = 0.6
    greenery: float = 0.35
    parking: float = 0.4
    markings: float = 0.8
    busy: float = 3.0
    crowd: float = 2.5
    traffic: Mapping[str, float] = field(
        default_factory=lambda: dict(
            car=6, truck=1, bus=0.7, train=0.15, motorcycle=0.8, bicycle=0.8
        )
    )
    storeys: Range = (2, 7)
    road_width: Range = (7, 12)
    camera_height: Range = (1.3, 1.8)
    horizon: Range = (0.48, 0.58)
    light: Range = (0.8, 1.1)
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gain_spread: float = 0.04
    contrast: float = 1.0
    saturation: float = 1.0
    haze: float = 0.15
    haze_colour: tuple[float, float, float] = (0.75, 0.82, 0.92)
    texture: float = 1.0
    blur: float = 0.0
    noise: float = 0.01
    clouds: float = 0.3


LOOKS = {
    # a video game: saturated, sharp and sunny
    'gta5': Look(contrast=1.1, saturation=1.2, gain=(1.05, 1.0, 0.95), texture=0.8),
    # overcast northern cities, a dark camera with a green tint
    'cityscapes': Look(
        colours={
            **COLOURS,
            'sky': ((0.86, 0.88, 0.88),),
            'road': ((0.40, 0.39, 0.40),),
            'sidewalk': ((0.50, 0.47, 0.48),),
            'building': ((0.55, 0.52, 0.48), (0.66, 0.63, 0.58), (0.45, 0.42, 0.40)),
            'vegetation': ((0.24, 0.34, 0.20), (0.20, 0.29, 0.18)),
        },
        built_up=0.75,
        greenery=0.45,
        parking=0.7,
        busy=3.0,
        crowd=3.5,
        storeys=(3, 7),
        gain=(0.82, 0.90, 0.82),
        contrast=0.9,
        saturation=0.7,
        haze=0.25,
        haze_colour=(0.8, 0.85, 0.82),
        blur=0.004,
        noise=0.015,
        clouds=0.9,
        light=(0.95, 1.0),
    ),
    # cities and cameras from all over the world, so the look varies most
    'mapillary': Look(
        colours={
            **COLOURS,
            'sky': ((0.62, 0.76, 0.95), (0.80, 0.85, 0.92), (0.35, 0.55, 0.90)),
            'road': ((0.45, 0.44, 0.43), (0.33, 0.34, 0.36), (0.50, 0.48, 0.45)),
            'vegetation': ((0.30, 0.42, 0.18), (0.38, 0.44, 0.20), (0.20, 0.36, 0.20)),
        },
        built_up=0.45,
        greenery=0.4,
        busy=3.5,
        crowd=2.0,
        road_width=(8, 15),
        camera_height=(1.2, 2.4),
        horizon=(0.42, 0.62),
        gain=(0.97, 1.02, 1.12),
        gain_spread=0.08,
        contrast=0.88,
        saturation=0.85,
        haze=0.3,
        texture=1.4,
        noise=0.02,
        clouds=0.5,
    ),
    # dust and warm light, roads without markings, many people and motorcycles
    'idd': Look(
        colours={
            **COLOURS,
            'road': ((0.50, 0.45, 0.39), (0.44, 0.41, 0.38)),
            'sidewalk': ((0.60, 0.50, 0.38),),
            'terrain': ((0.58, 0.48, 0.32),),
            'sky': ((0.88, 0.85, 0.76), (0.78, 0.82, 0.84)),
            'building': ((0.72, 0.58, 0.42), (0.60, 0.55, 0.50), (0.75, 0.68, 0.50)),
            'vegetation': ((0.34, 0.38, 0.18), (0.28, 0.34, 0.16)),
        },
        built_up=0.45,
        greenery=0.3,
        parking=0.3,
        markings=0.2,
        busy=4.5,
        crowd=4.0,
        traffic=dict(car=4, truck=1.5, bus=0.8, motorcycle=4, bicycle=1),
        storeys=(1, 4),
        gain=(1.06, 0.96, 0.82),
        contrast=0.85,
        saturation=0.85,
        haze=0.4,
        haze_colour=(0.85, 0.78, 0.62),
        blur=0.003,
        noise=0.02,
        texture=1.2,
    ),
}
