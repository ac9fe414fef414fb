import math
from collections import Counter

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from mmseg.registry import TRANSFORMS
from PIL import Image, ImageEnhance, ImageOps

from mlcl_mmseg.datasets.transforms import strong
from mlcl_mmseg.datasets.transforms.strong import (
    COLOUR_OPS,
    FILL,
    GEOMETRIC_OPS,
    OPS,
    flip_matrix,
    random_cutout,
    rotation_matrix,
    shear_matrix,
    translation_matrix,
    warp_image,
)
from mlcl_mmseg.methods.mcl.geometry import warp_pseudo_label

from .conftest import random_pixels

IGNORE = 255
# Pillow steps through the source in 16-bit fixed point, the label's warp in float32: where the
# source lies this close (in pixels) to the border of two pixels they may take either
BORDER = 0.01


def build(**options):
    return TRANSFORMS.build(dict(type='StrongAugmentation', **options))


def augment(image, seed, **options):
    np.random.seed(seed)
    return build(**options)(dict(img=image))


@pytest.fixture
def image():
    return Image.fromarray(random_pixels(0, height=61, width=98))


def pillow_affine(image, *coefficients):
    return image.transform(image.size, Image.Transform.AFFINE, coefficients, fillcolor=FILL)


def assert_warp(image, matrix, expected):
    """Exactly Pillow's result: same arithmetic once the matrix is the same."""
    np.testing.assert_array_equal(warp_image(image, matrix[:2]), expected)


def test_flip_is_pillows(image):
    assert_warp(image, flip_matrix(image.width), ImageOps.mirror(image))


@pytest.mark.parametrize('degrees', [-27, -3, 9, 30])
def test_rotation_is_pillows(image, degrees):
    matrix = rotation_matrix(degrees, *image.size)
    assert_warp(image, matrix, image.rotate(degrees, fillcolor=FILL))


@pytest.mark.parametrize('amount', [-0.27, 0.03, 0.3])
def test_shear_is_pillows(image, amount):
    assert_warp(image, shear_matrix(x=amount), pillow_affine(image, 1, amount, 0, 0, 1, 0))
    assert_warp(image, shear_matrix(y=amount), pillow_affine(image, 1, 0, 0, amount, 1, 0))


@pytest.mark.parametrize('pixels', [-20, 3, 29])
def test_translation_is_pillows(image, pixels):
    assert_warp(image, translation_matrix(x=pixels), pillow_affine(image, 1, 0, pixels, 0, 1, 0))
    assert_warp(image, translation_matrix(y=pixels), pillow_affine(image, 1, 0, 0, 0, 1, pixels))


def test_translation_moves_pixels_and_fills_with_grey(image):
    moved = np.asarray(warp_image(image, translation_matrix(x=5)[:2]))
    np.testing.assert_array_equal(moved[:, :-5], np.asarray(image)[:, 5:])
    assert (moved[:, -5:] == 127).all()


def test_composition_is_one_after_the_other(image):
    """Exact here: all of these take whole pixels to whole pixels."""
    matrices = [flip_matrix(image.width), translation_matrix(x=7), translation_matrix(y=-4)]
    step_by_step = image
    for matrix in matrices:
        step_by_step = warp_image(step_by_step, matrix[:2])
    at_once = warp_image(image, np.linalg.multi_dot(matrices)[:2])
    np.testing.assert_array_equal(at_once, step_by_step)


@pytest.mark.parametrize('seed', range(4))
def test_view_is_flipped_first_and_then_warped_in_the_order_drawn(monkeypatch, seed):
    matrices = [flip_matrix(64)]
    for name, operation in list(GEOMETRIC_OPS.items()):
        monkeypatch.setitem(
            GEOMETRIC_OPS,
            name,
            lambda *args, operation=operation: matrices.append(operation(*args)) or matrices[-1],
        )
    monkeypatch.setattr(strong, 'OPS', tuple(GEOMETRIC_OPS))
    result = augment(random_pixels(0, height=32, width=64), seed, draws=3, prob=1)
    assert len(matrices) == 4
    expected = np.linalg.multi_dot(matrices)[:2]
    np.testing.assert_allclose(result['strong_affine'], expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize('magnitude', range(-9, 10))
def test_magnitudes_of_geometry(magnitude):
    width, height = 97, 61
    matrix = {name: op(magnitude, width, height) for name, op in GEOMETRIC_OPS.items()}
    degrees = math.trunc(3 * magnitude)
    np.testing.assert_allclose(matrix['rotate'], rotation_matrix(degrees, width, height))
    np.testing.assert_allclose(matrix['shear_x'], shear_matrix(x=0.03 * magnitude))
    np.testing.assert_allclose(matrix['shear_y'], shear_matrix(y=0.03 * magnitude))
    # the horizontal translation is a share of the width, not twice that (method.md §6-Q2)
    right, down = math.trunc(0.03 * magnitude * width), math.trunc(0.03 * magnitude * height)
    np.testing.assert_array_equal(matrix['translate_x'], translation_matrix(x=right))
    np.testing.assert_array_equal(matrix['translate_y'], translation_matrix(y=down))


@pytest.mark.parametrize(
    ('magnitude', 'factor', 'bits', 'threshold'),
    [(1, 0.14, 4, 231), (5, 0.5, 6, 128), (9, 0.86, 7, 26)],
)
def test_magnitudes_of_colour(image, magnitude, factor, bits, threshold):
    expected = dict(
        autocontrast=ImageOps.autocontrast(image),
        brightness=ImageEnhance.Brightness(image).enhance(factor),
        colour=ImageEnhance.Color(image).enhance(factor),
        contrast=ImageEnhance.Contrast(image).enhance(factor),
        equalise=ImageOps.equalize(image),
        identity=image,
        posterise=ImageOps.posterize(image, bits),
        sharpness=ImageEnhance.Sharpness(image).enhance(factor),
        solarise=ImageOps.solarize(image, threshold),
    )
    assert set(expected) == set(COLOUR_OPS)
    for name, result in expected.items():
        np.testing.assert_array_equal(COLOUR_OPS[name](image, magnitude), result, err_msg=name)


def test_pool_is_drawn_evenly_with_all_magnitudes(monkeypatch):
    """Two draws from 14 operations, each applied with p = 0.5."""
    count = 1400
    drawn = []

    def record(pool, name):
        operation = pool[name]

        def recorded(*args):
            drawn.append((name, args[0] if pool is GEOMETRIC_OPS else args[1]))
            return operation(*args)

        monkeypatch.setitem(pool, name, recorded)

    for pool in (COLOUR_OPS, GEOMETRIC_OPS):
        for name in list(pool):
            record(pool, name)
    np.random.seed(0)
    transform = build()
    image = random_pixels(0, height=12, width=12)
    for _ in range(count):
        transform(dict(img=image))

    times = Counter(name for name, _ in drawn)
    assert set(times) == set(OPS) and len(OPS) == 14
    assert all(60 < times[name] < 140 for name in OPS), times  # 100 expected, sigma 10
    magnitudes = {name: {m for drawn_name, m in drawn if drawn_name == name} for name in OPS}
    assert set.union(*(magnitudes[name] for name in COLOUR_OPS)) == {*range(1, 10)}
    assert set.union(*(magnitudes[name] for name in GEOMETRIC_OPS)) == {*range(-9, 10)} - {0}


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(6, 200),
    height=st.integers(6, 200),
)
def test_labels_get_the_geometry_of_the_image(seed, width, height):
    y, x = np.mgrid[:height, :width]
    image = np.stack([np.zeros_like(x), y, x], -1).astype(np.uint8)  # BGR: never the fill
    with pytest.MonkeyPatch.context() as patch:
        for name in COLOUR_OPS:
            patch.setitem(COLOUR_OPS, name, lambda image, v: image)
        result = augment(image, seed, draws=3, prob=0.8)
    of_image = result['strong_img'].astype(int)
    filled = (of_image == 127).all(-1)
    places = np.where(filled, IGNORE, IGNORE + 1 + of_image[..., 1] * width + of_image[..., 2])

    warped = warp_pseudo_label(
        torch.from_numpy(IGNORE + 1 + y * width + x)[None],
        torch.from_numpy(result['strong_affine'])[None],
        torch.from_numpy(result['strong_cutout'])[None],
        scale=1.0,
    )[0].numpy()

    centres = np.stack([x + 0.5, y + 0.5, np.ones_like(x)]).reshape(3, -1)
    source = result['strong_affine'].astype(float) @ centres
    clear = (np.abs(source - source.round()) > BORDER).all(0).reshape(height, width)
    np.testing.assert_array_equal(warped[clear], places[clear])
    both = (warped != IGNORE) & (places != IGNORE)
    of_label, of_image = (
        np.array(np.divmod(place[both] - IGNORE - 1, width)) for place in (warped, places)
    )
    assert np.abs(of_label - of_image).max(initial=0) <= 1


def test_whole_pixel_geometry_agrees_exactly(monkeypatch):
    """Flips and translations only: no border cases, so label and image agree everywhere."""
    monkeypatch.setattr(strong, 'OPS', ('translate_x', 'translate_y'))
    y, x = np.mgrid[:40, :60]
    image = np.stack([np.zeros_like(x), y, x], -1).astype(np.uint8)
    moved = 0
    for seed in range(30):
        result = augment(image, seed)
        of_image = result['strong_img'].astype(int)
        filled = (of_image == 127).all(-1)
        warped = warp_pseudo_label(
            torch.from_numpy(1000 + y * 60 + x)[None],
            torch.from_numpy(result['strong_affine'])[None],
            torch.from_numpy(result['strong_cutout'])[None],
            scale=1.0,
        )[0].numpy()
        expected = np.where(filled, IGNORE, 1000 + of_image[..., 1] * 60 + of_image[..., 2])
        np.testing.assert_array_equal(warped, expected)
        moved += not np.array_equal(result['strong_affine'], np.eye(2, 3))
    assert moved > 10


@given(width=st.integers(1, 300), height=st.integers(1, 300), seed=st.integers(0, 2**32 - 1))
def test_cutout_is_a_square_clipped_to_the_image(width, height, seed):
    np.random.seed(seed)
    x0, y0, x1, y1 = random_cutout(width, height)
    side = min(width, height) // 3
    assert 0 <= x0 <= x1 <= width and 0 <= y0 <= y1 <= height
    assert x1 - x0 == min(side, width - x0) and y1 - y0 == min(side, height - y0)
    assert x0 <= width - side / 2 and y0 <= height - side / 2


def test_cutout_positions():
    """The corner is ⌊max(0, U(0, w) − side/2)⌋: a square may hang over the right, not the left."""
    np.random.seed(0)
    x0, y0, x1, _ = np.array([random_cutout(60, 30) for _ in range(3000)]).T
    assert x0.max() == 54 and y0.max() == 24
    assert abs((x0 == 0).mean() - 6 / 60) < 0.03  # U < 5, or 5 <= U < 6 rounded down
    assert abs((x1 - x0 < 10).mean() - 4 / 60) < 0.03  # x0 > 50, that is U >= 56


@pytest.mark.parametrize('seed', range(5))
def test_cutout_is_filled_with_grey_and_nothing_else_is(seed):
    image = np.zeros((30, 60, 3), np.uint8)
    result = augment(image, seed, prob=0)
    x0, y0, x1, y1 = result['strong_cutout']
    expected = image.copy()
    expected[y0:y1, x0:x1] = 127
    assert (expected == 127).any()
    np.testing.assert_array_equal(result['strong_img'], expected)
    np.testing.assert_array_equal(result['strong_affine'], np.eye(2, 3))


def test_half_of_the_views_are_flipped(monkeypatch):
    monkeypatch.setattr(strong, 'OPS', ('identity',))
    image = random_pixels(0, height=12, width=16)
    affines = [augment(image, seed)['strong_affine'] for seed in range(400)]
    flipped = [affine[0, 0] == -1 for affine in affines]
    assert 150 < sum(flipped) < 250
    np.testing.assert_array_equal(affines[flipped.index(True)], [[-1, 0, 16], [0, 1, 0]])


def test_seed_decides():
    image = random_pixels(0, height=32, width=64)
    views = {}
    for seed in (0, 1, 0, 1):
        result = augment(image, seed)
        first = views.setdefault(seed, result)
        for key in ('strong_img', 'strong_affine', 'strong_cutout'):
            np.testing.assert_array_equal(result[key], first[key])
    assert not np.array_equal(views[0]['strong_img'], views[1]['strong_img'])


def test_weak_view_stays_as_it_is():
    image = random_pixels(0, height=32, width=64)
    for seed in range(20):
        result = augment(image, seed)
        assert result['img'] is image
        assert result['strong_img'].shape == image.shape
        assert result['strong_img'].dtype == np.uint8
    np.testing.assert_array_equal(image, random_pixels(0, height=32, width=64))


def test_channels_stay_bgr(monkeypatch):
    monkeypatch.setattr(strong, 'OPS', ('colour',))
    image = np.zeros((9, 9, 3), np.uint8)
    image[..., 0] = 200  # blue
    view = augment(image, 0, prob=1)['strong_img']
    blue, _, red = view[(view != 127).any(-1)].astype(int).T
    assert (blue > red).all() and (blue < 200).all()
