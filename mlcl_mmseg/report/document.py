"""A self-contained HTML file without scripts."""

from collections.abc import Sequence
from importlib.resources import files

from .markup import Markup, markup, tag

# whatever names of runs or images contain, the page runs no scripts and loads no other files
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def document(title: str, sections: Sequence[Markup], links: dict[str, str]) -> str:
    """The whole HTML document.

    Args:
        title (str): Title of the page.
        sections (Sequence[Markup]): Its sections.
        links (dict[str, str]): By the id of a section, the text of the link to it.
    """
    style = files(__package__).joinpath('page.css').read_text()
    head = tag(
        'head',
        tag('meta', charset='utf-8'),
        tag('meta', http_equiv='Content-Security-Policy', content=POLICY),
        tag('meta', name='viewport', content='width=device-width, initial-scale=1'),
        tag('meta', name='color-scheme', content='light dark'),
        tag('title', title),
        tag('style', Markup(style)),
    )
    nav = tag('nav', [tag('a', text, href=f'#{key}') for key, text in links.items()])
    body = tag(
        'body',
        tag('header', tag('h1', tag('small', 'MLCL-MMSeg'), title), nav),
        tag('main', sections),
    )
    return f'<!DOCTYPE html>\n{tag("html", markup([head, body]), lang="en")}\n'
