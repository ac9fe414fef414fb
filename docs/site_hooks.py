"""What the documentation needs beside MkDocs: equations, and docstrings without Sphinx's roles."""

import re
from typing import Any

import griffe
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig


def on_config(config: MkDocsConfig) -> None:
    """Let ``math`` blocks be equations; MkDocs calls this when it has read mkdocs.yml."""
    fence = {'name': 'math', 'class': 'math', 'format': equation}
    config.mdx_configs['pymdownx.superfences'] = {'custom_fences': [fence]}


def equation(source: str, *_: Any, **__: Any) -> str:
    """A ``math`` block as MathML, which browsers draw without a script.

    Args:
        source (str): LaTeX.

    Returns:
        str: One ``<math>`` element in a paragraph.
    """
    return f'<p class="math">{convert(source, display="block")}</p>'


class PlainRoles(griffe.Extension):
    """``:class:`Name``` becomes ```Name```: the site shows names as code."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a class or function that has been read."""
        if obj.docstring:
            obj.docstring.value = re.sub(r':\w+:`~?([^`]+)`', r'`\1`', obj.docstring.value)
