"""Write the report page, a self-contained HTML file without scripts."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from mmseg.utils import register_all_modules

from ..durable_files import write_durably
from .class_figures import class_tables, confusion_matrices
from .curves import training_curves, validation_curves
from .groups import group_runs
from .markup import Markup, markup, tag
from .overview import best_figures, environments, settings
from .pictures import pictures
from .pseudo_label_quality import pseudo_label_quality
from .run import read_runs

# whatever names of runs or images contain, the page runs no scripts and loads no other files
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
LINKS = {
    'best': 'Best',
    'settings': 'Settings',
    'validations': 'Validations',
    'training': 'Training',
    'classes': 'Classes',
    'confusion': 'Confusion',
    'images': 'Images',
    'pseudo-labels': 'Pseudo-labels',
    'versions': 'Versions',
}


def write_report(folders: Sequence[str | Path], path: str | Path, num_images: int = 2) -> None:
    """Write the report page of runs.

    Args:
        folders (Sequence[str | Path]): The work dirs of the runs.
        path (str | Path): The file to write; its folder is created if necessary.
        num_images (int): Number of best and of worst images to show for each domain.

    Raises:
        InputError: If a folder is not the work dir of a run, or if its run has logged nothing yet.
    """
    register_all_modules()
    groups = group_runs(read_runs(list(folders)))
    sections = [
        best_figures(groups),
        settings(groups),
        validation_curves(groups),
        training_curves(groups),
        class_tables(groups),
        confusion_matrices(groups),
        pictures(groups, num_images),
        pseudo_label_quality(groups),
        environments(groups),
    ]
    text = page(', '.join(group.name for group in groups), sections)
    write_durably(path, text.encode(), 'start again')


def page(title: str, sections: Sequence[Markup]) -> str:
    """The whole HTML document."""
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
    links = tag('nav', [tag('a', text, href=f'#{key}') for key, text in LINKS.items()])
    body = tag(
        'body',
        tag('header', tag('h1', tag('small', 'MLCL-MMSeg'), title), links),
        tag('main', sections),
    )
    return f'<!DOCTYPE html>\n{tag("html", markup([head, body]), lang="en")}\n'
