"""Cells and sheets: sizes, places, legend."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcl_mmseg.visualization.cells import CellPainter, cell_size
from mlcl_mmseg.visualization.contact_sheet import (
    GAP,
    MARGIN,
    MAX_WIDTH,
    Section,
    block_places,
    contact_sheet,
    font,
    shortened,
)

PALETTE = [(128, 64, 128), (0, 0, 142)]


@pytest.mark.parametrize(
    ('size', 'cell'),
    [
        ((64, 128), (256, 128)),
        ((160, 320), (320, 160)),
        ((256, 512), (320, 160)),
        ((1024, 2048), (320, 160)),
        ((20, 40), (320, 160)),
    ],
)
def test_cells_are_a_whole_number_of_times_as_large_or_smaller(size, cell):
    assert cell_size(size) == cell


def test_a_cell_shows_every_pixel():
    image = torch.zeros(3, 2, 4)
    image[:, 1, 2] = torch.tensor([1.0, 0.5, 0.0])
    index = torch.tensor([[0, 1, 255, 0], [1, 1, 0, 0]])
    paint = CellPainter(PALETTE, (40, 20))
    shown = paint.image(image)
    assert shown.shape == (20, 40, 3)
    assert (shown[10:, 20:30] == (255, 128, 0)).all()
    assert not shown[:10].any()
    classes = paint.classes(image, index)
    # half the palette's colours over black
    assert (classes[:10, :10] == (64, 32, 64)).all()
    assert (classes[:10, 10:20] == (0, 0, 71)).all()
    # stripes over the image
    ignored = classes[:10, 20:30].reshape(-1, 3)
    assert {tuple(pixel) for pixel in ignored.tolist()} == {(0, 0, 0), (255, 255, 255)}
    share = paint.share(torch.tensor([[0.0, 1.0]]))
    assert share.shape == (20, 40)
    assert not share[:, :20].any() and (share[:, 20:] == 255).all()


def section(columns, rows, width=60, height=30, value=0):
    cells = [np.full((height, width, 3), value, np.uint8)] * columns
    return Section('a', ['b'] * columns, [('', cells)] * rows)


def test_pictures_lie_where_they_should():
    first = section(2, 1, value=100)
    grey = np.full((30, 60), 200, np.uint8)
    second = Section('', ['grey'], [('', [grey]), ('', [grey])])
    sheet = contact_sheet([first, second])
    left = MARGIN + 2 * 60 + GAP + MARGIN
    for value, x, bottom in (
        (100, MARGIN, first.height),
        (100, MARGIN + 60 + GAP, first.height),
        (200, left, second.height),
    ):
        y = MARGIN + bottom - GAP
        assert (sheet[y - 30 : y, x : x + 60] == value).all()
    assert sheet.shape[1] == left + 60 + MARGIN


def test_a_name_goes_into_the_first_picture():
    black = np.zeros((60, 200, 3), np.uint8)
    plain = contact_sheet([Section('', ['a', 'b'], [('', [black, black])])])
    named = contact_sheet([Section('', ['a', 'b'], [('street.png', [black, black])])])
    _, columns = np.nonzero((plain != named).any(2))
    assert len(columns) and columns.min() >= MARGIN and columns.max() < MARGIN + 200


def test_the_legend_has_every_class_and_what_is_ignored():
    sheet = contact_sheet([section(9, 1)], ['title'], ['flat', 'vehicle'], PALETTE)
    for colour in PALETTE:
        assert (sheet == colour).all(2).sum() == 14 * 14
    narrow = contact_sheet([section(1, 1)], ['title'], ['flat', 'vehicle'], PALETTE)
    assert narrow.shape[0] > sheet.shape[0]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 3)), min_size=1, max_size=8))
def test_blocks_never_overlap_nor_leave_the_sheet_for_want_of_a_line(sizes):
    places = list(block_places([section(*size) for size in sizes]))
    boxes = [(left, top, left + block.width, top + block.height) for left, top, block in places]
    for number, (left, top, right, bottom) in enumerate(boxes):
        assert left == 0 or right <= MAX_WIDTH
        for other in boxes[:number]:
            assert left >= other[2] or top >= other[3] or right <= other[0] or bottom <= other[1]


@settings(deadline=None)
@given(st.text(st.characters(codec='latin-1', exclude_categories=['C']), max_size=80))
def test_a_long_text_keeps_its_end(text):
    """As much of it as there is room for, and whole if there is room for all."""

    def has_room(text):
        return font(12).getlength(text) + 2 * GAP <= 100

    ends = [text, *(f'...{text[start:]}' for start in range(1, len(text) + 1))]
    assert shortened(text, 100, 12) == next(filter(has_room, ends))
