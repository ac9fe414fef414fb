"""Contact sheets: images in rows and columns with headings."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .painting import IGNORED, Palette, hatch_ignored

# in pixels: space around the sheet and between images
MARGIN, GAP = 12, 4
# font sizes in pixels
TITLE, HEADING, CAPTION = 18, 14, 12
# side in pixels of the coloured squares in a legend
SQUARE = 14
# width in pixels up to which sections are placed side by side
MAX_WIDTH = 1400
PAPER, INK = (255, 255, 255), (0, 0, 0)


class Section(NamedTuple):
    """A block of a contact sheet: rows of images under the headings of their columns.

    Attributes:
        title (str): Title of the section; may be empty.
        headings (Sequence[str]): The heading of each column.
        rows (Sequence[tuple[str, Sequence[np.ndarray]]]): For each row, its name, which is written
            into the first image, and its images, (H, W, 3) or grey (H, W) uint8. All images of a
            section have the same size.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[tuple[str, Sequence[np.ndarray]]]

    @property
    def cell(self) -> tuple[int, int]:
        """(width, height) of an image in pixels."""
        height, width = self.rows[0][1][0].shape[:2]
        return width, height

    @property
    def width(self) -> int:
        """Width of the section in pixels."""
        title = round(font(TITLE).getlength(self.title))
        return max(title, len(self.headings) * (self.cell[0] + GAP) - GAP)

    @property
    def height(self) -> int:
        """Height of the section in pixels."""
        titles = line_height(TITLE) * bool(self.title) + line_height(HEADING)
        return titles + len(self.rows) * (self.cell[1] + GAP)

    def draw(self, sheet: Image.Image, left: int, top: int) -> None:
        """Draw the section into a sheet, with its upper left corner at (left, top)."""
        brush = ImageDraw.Draw(sheet)
        if self.title:
            brush.text((left, top), self.title, INK, font(TITLE))
            top += line_height(TITLE)
        width, height = self.cell
        for column, heading in enumerate(self.headings):
            text = shortened(heading, width, HEADING)
            brush.text((left + column * (width + GAP), top), text, INK, font(HEADING))
        top += line_height(HEADING)
        for name, cells in self.rows:
            for column, cell in enumerate(cells):
                place = left + column * (width + GAP), top
                sheet.paste(Image.fromarray(np.ascontiguousarray(cell)), place)
            write_caption(brush, (left, top + height), shortened(name, width, CAPTION))
            top += height + GAP


def contact_sheet(
    sections: Sequence[Section],
    titles: Sequence[str] = (),
    classes: Sequence[str] = (),
    palette: Palette = (),
) -> np.ndarray:
    """Draw sections with titles and a legend, side by side if they fit, else below one another.

    Args:
        sections (Sequence[Section]): The sections.
        titles (Sequence[str]): Lines of text at the top of the sheet.
        classes (Sequence[str]): Class names for the legend; if empty, there is no legend.
        palette (Palette): Colours of the classes, (C, 3) RGB from 0 to 255.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB.
    """
    blocks = list(block_places(sections))
    width = max(left + section.width for left, _, section in blocks)
    legend = list(legend_places(classes, width))
    below_titles = MARGIN + line_height(TITLE) * len(titles)
    below_legend = below_titles + (legend[-1][1] + line_height(CAPTION) + GAP if legend else 0)
    height = below_legend + max(top + section.height for _, top, section in blocks) + MARGIN
    sheet = Image.new('RGB', (width + 2 * MARGIN, height), PAPER)
    brush = ImageDraw.Draw(sheet)
    for line, title in enumerate(titles):
        place = MARGIN, MARGIN + line * line_height(TITLE)
        brush.text(place, shortened(title, width, TITLE), INK, font(TITLE))
    for number, (left, top, name) in enumerate(legend):
        place = MARGIN + left, below_titles + top
        sheet.paste(Image.fromarray(square(number, palette)), place)
        brush.text((place[0] + SQUARE + GAP, place[1] - 1), name, INK, font(CAPTION))
    for left, top, section in blocks:
        section.draw(sheet, MARGIN + left, below_legend + top)
    return np.asarray(sheet)


def block_places(sections: Sequence[Section]) -> Iterator[tuple[int, int, Section]]:
    """Place sections in lines up to MAX_WIDTH; yields left, top and section."""
    left, top, bottom = 0, 0, 0
    for section in sections:
        if left and left + section.width > MAX_WIDTH:
            left, top = 0, bottom
        yield left, top, section
        left += section.width + MARGIN
        bottom = max(bottom, top + section.height + MARGIN)


def legend_places(classes: Sequence[str], width: int) -> Iterator[tuple[int, int, str]]:
    """Place the entries of a legend in lines up to a width; yields left, top and name."""
    left, top = 0, 0
    for name in [*classes, 'ignored'] if classes else []:
        needed = SQUARE + 3 * GAP + round(font(CAPTION).getlength(name))
        if left and left + needed > width:
            left, top = 0, top + line_height(CAPTION)
        yield left, top, name
        left += needed + GAP


def square(number: int, palette: Palette) -> np.ndarray:
    """Draw the legend's square of a class; a number above the last class means ignored pixels."""
    grey = np.full((SQUARE, SQUARE, 3), 128, np.uint8)
    index = np.full((SQUARE, SQUARE), number)
    if number < len(palette):
        grey[:] = palette[number]
    return hatch_ignored(grey, index, palette)


def write_caption(brush: ImageDraw.ImageDraw, corner: tuple[int, int], text: str) -> None:
    """Write a text above the point ``corner``, the lower left corner of an image."""
    if text:
        left, top = corner[0], corner[1] - line_height(CAPTION)
        right = left + round(font(CAPTION).getlength(text)) + 2 * GAP
        brush.rectangle((left, top, right, corner[1] - 1), INK)
        brush.text((left + GAP, top + 1), text, IGNORED, font(CAPTION))


def shortened(text: str, width: int, size: int) -> str:
    """Shorten a text to a width in pixels: '...' and its end."""
    if font(size).getlength(text) + 2 * GAP <= width:
        return text
    while text and font(size).getlength(f'...{text}') + 2 * GAP > width:
        text = text[1:]
    return f'...{text}'


def line_height(size: int) -> int:
    """Return the height in pixels of a line of text with a font size."""
    return size + 6


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's default font in a size."""
    return ImageFont.load_default(size)
