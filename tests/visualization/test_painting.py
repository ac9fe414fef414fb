import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcl_mmseg.visualization.painting import (
    colour_of,
    grey_of,
    hatch_ignored,
    overlay,
    side_by_side,
)

PALETTE = ((10, 20, 30), (200, 0, 100))
INDEX = np.array([[0, 1], [255, 1]], np.uint8)
IMAGE = np.full((2, 2, 3), 100, np.uint8)


def test_colours():
    expected = [[PALETTE[0], PALETTE[1]], [(255, 255, 255), PALETTE[1]]]
    assert colour_of(INDEX, PALETTE).tolist() == np.array(expected).tolist()


@pytest.mark.parametrize('kind', [np.uint8, np.int64])
def test_overlay(kind):
    mixed = overlay(IMAGE, INDEX.astype(kind), PALETTE, 0.5)
    assert mixed.dtype == np.uint8
    assert mixed[0, 0].tolist() == [55, 60, 65]
    assert mixed[0, 1].tolist() == [150, 50, 100]
    # nothing is known of an ignored pixel
    assert mixed[1, 0].tolist() == [100, 100, 100]


@given(st.integers(0, 255), st.integers(0, 255), st.floats(0, 1))
def test_an_overlay_lies_between_image_and_colour(grey, colour, opacity):
    image = np.full((1, 1, 3), grey, np.uint8)
    index = np.zeros((1, 1), np.uint8)
    found = overlay(image, index, [(colour, colour, colour)], opacity)[0, 0, 0]
    assert abs(found - (grey * (1 - opacity) + colour * opacity)) <= 0.51


def test_hatching_leaves_classes_alone():
    index = np.zeros((12, 12), np.uint8)
    index[6:] = 255
    picture = np.full((12, 12, 3), 7, np.uint8)
    hatched = hatch_ignored(picture, index, PALETTE)
    assert (hatched[:6] == 7).all()
    striped = (hatched[6:] == 255).all(axis=2)
    assert 0.4 < striped.mean() < 0.6
    assert np.array_equal(striped[:-1, 1:], striped[1:, :-1])


def test_grey():
    assert grey_of(np.array([[0.0, 0.5, 1.0, 1.1]])).tolist() == [[0, 128, 255, 255]]


def test_side_by_side():
    sheet = side_by_side(IMAGE, np.zeros((2, 3), np.uint8))
    assert sheet.shape == (2, 5, 3)
    assert (sheet[:, :2] == 100).all()
    assert (sheet[:, 2:] == 0).all()
