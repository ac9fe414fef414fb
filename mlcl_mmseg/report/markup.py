"""Build HTML in Python; text is escaped unless it is :class:`Markup`."""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from typing import Any

from PIL import Image

# elements without content
VOID = ('meta', 'img', 'line', 'path', 'circle')


class Markup(str):
    """A string of HTML, which is not escaped again."""


def markup(content: Any) -> Markup:
    """Convert content to HTML.

    Args:
        content (Any): Markup, which is returned unchanged; None, which becomes an empty string; an
            iterable, whose items are concatenated; or any other object, whose text is escaped.
    """
    if isinstance(content, Markup):
        return content
    if content is None:
        return Markup()
    if isinstance(content, Iterable) and not isinstance(content, str):
        return Markup(''.join(map(markup, content)))
    return Markup(html.escape(str(content)))


def tag(name: str, /, *content: Any, **attributes: Any) -> Markup:
    """Make an element.

    Args:
        name (str): Name of the element, such as 'td'.
        *content (Any): Its content, see :func:`markup`.
        **attributes (Any): Its attributes. Underscores at the end of names are removed, other
            underscores become hyphens. Attributes that are None are omitted.

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
    """Make a table that scrolls if it is wider than the page.

    Args:
        heads (Sequence[Sequence[Any]]): Header rows. Cells that are not elements yet become ``th``.
        rows (Sequence[Sequence[Any]]): Body rows, whose first cells are their headers.
        **attributes: Attributes of the table.

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
    """A section of the page with a heading."""
    return tag('section', tag('h2', title), *content, **attributes)


def details(summary: Any, *content: Any, open_: bool = False) -> Markup:
    """Content that can be expanded; ``open_`` expands it at first."""
    attributes = dict(open='') if open_ else {}
    return tag('details', tag('summary', summary), *content, **attributes)


def paragraph(*content: Any) -> Markup:
    """A note in small print."""
    return tag('p', *content, class_='note')


def inline_image(image: Image.Image, text: str, **attributes: Any) -> Markup:
    """Embed an image in the page, as JPEG or, for class indices (mode 'P'), as PNG."""
    is_indices = image.mode == 'P'
    buffer = io.BytesIO()
    image.save(buffer, **(dict(format='PNG') if is_indices else dict(format='JPEG', quality=80)))
    kind = 'png' if is_indices else 'jpeg'
    content = base64.b64encode(buffer.getvalue()).decode()
    width, height = image.size
    source = f'data:image/{kind};base64,{content}'
    return tag('img', src=source, alt=text, width=width, height=height, **attributes)
