"""HTML from Python: whatever is not markup already is escaped."""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from typing import Any

from PIL import Image

# elements without content
VOID = ('meta', 'img', 'line', 'path', 'circle')


class Markup(str):
    """Text that is HTML already."""


def markup(content: Any) -> Markup:
    """Content as HTML; text is escaped, None is nothing, several things follow one another."""
    if isinstance(content, Markup):
        return content
    if content is None:
        return Markup()
    if isinstance(content, Iterable) and not isinstance(content, str):
        return Markup(''.join(map(markup, content)))
    return Markup(html.escape(str(content)))


def tag(name: str, /, *content: Any, **attributes: Any) -> Markup:
    """An element.

    Args:
        name (str): Such as 'td'.
        *content (Any): See :func:`markup`.
        **attributes (Any): Their names may end in an underscore, and other underscores stand for
            hyphens. One that is None is left out.

    Returns:
        Markup: The element.
    """
    pairs = ''.join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f'<{name}{pairs}/>')
    return Markup(f'<{name}{pairs}>{markup(content)}</{name}>')


def table(
    heads: Sequence[Sequence[Any]], rows: Sequence[Sequence[Any]], **attributes: Any
) -> Markup:
    """A table that scrolls if it is wider than the page.

    Args:
        heads (Sequence[Sequence[Any]]): Rows of the head; cells that are no ``th`` become one.
        rows (Sequence[Sequence[Any]]): Their first cells are heads of the rows.
        **attributes: Of the table.

    Returns:
        Markup: The table.
    """

    def cell(content: Any, name: str, **scope: str) -> Markup:
        is_cell = isinstance(content, Markup) and content.startswith(('<th', '<td'))
        return content if is_cell else tag(name, content, **scope)

    head = [tag('tr', [cell(each, 'th', scope='col') for each in row]) for row in heads]
    body = [
        tag('tr', cell(first, 'th', scope='row'), [cell(each, 'td') for each in rest])
        for first, *rest in rows
    ]
    inner = tag('table', tag('thead', head), tag('tbody', body), **attributes)
    return tag('div', inner, class_='scroll', tabindex=0)


def section(title: str, *content: Any, **attributes: Any) -> Markup:
    """A part of the page under its heading."""
    return tag('section', tag('h2', title), *content, **attributes)


def details(summary: Any, *content: Any, open_: bool = False) -> Markup:
    """Content that is folded away."""
    attributes = dict(open='') if open_ else {}
    return tag('details', tag('summary', summary), *content, **attributes)


def paragraph(*content: Any) -> Markup:
    """A note in small print."""
    return tag('p', *content, class_='note')


def inline_image(image: Image.Image, text: str, **attributes: Any) -> Markup:
    """An image in the page itself: JPEG of colours, PNG of class indices."""
    is_indices = image.mode == 'P'
    buffer = io.BytesIO()
    image.save(buffer, **(dict(format='PNG') if is_indices else dict(format='JPEG', quality=80)))
    kind = 'png' if is_indices else 'jpeg'
    content = base64.b64encode(buffer.getvalue()).decode()
    width, height = image.size
    source = f'data:image/{kind};base64,{content}'
    return tag('img', src=source, alt=text, width=width, height=height, **attributes)
