"""IoU of each class, and confusion matrices."""

from collections.abc import Sequence

import numpy as np
import torch

from ..evaluation import iou
from .groups import Figure, Group, figure, leader, published_settings
from .markup import Markup, details, paragraph, section, table, tag
from .overview import group_name

# cells with a larger share of their row have a dark background and light text
STRONG = 0.55


def confusions(group: Group, domain: str) -> list[np.ndarray]:
    """Confusion matrices (C, C) of a domain, in pixels, at the best validation of each run.

    Runs that did not store them are skipped.
    """
    records = [run.best_record for run in group.runs]
    return [
        np.array(each['confusion'][domain])
        for each in records
        if each and domain in each['confusion']
    ]


def counted_domains(groups: Sequence[Group]) -> list[str]:
    """The domains for which at least one run stored a confusion matrix."""
    records = [run.best_record for group in groups for run in group.runs if run.best_record]
    return list(dict.fromkeys(domain for record in records for domain in record['confusion']))


def swatch(colour: Sequence[int]) -> Markup:
    """A small square in the colour of a class."""
    return tag('i', class_='swatch', style=f'background:rgb({",".join(map(str, colour))})')


def label_spaces(groups: Sequence[Group]) -> list[tuple[dict, list[Group]]]:
    """For each class set, a validation record with it, and the groups that use it."""
    spaces: dict[tuple, tuple[dict, list[Group]]] = {}
    for group in groups:
        record = next((run.best_record for run in group.runs if run.best_record), None)
        if record is not None:
            spaces.setdefault(tuple(record['classes']), (record, []))[1].append(group)
    return list(spaces.values())


def class_tables(groups: Sequence[Group]) -> Markup:
    """The section with the IoU per class and domain, in one table per class set."""
    tables = [class_table(*space) for space in label_spaces(groups)]
    return section(
        'Classes',
        tables,
        paragraph(
            'IoU (%) at the best validation. Bold: the highest of the runs.'
            if tables
            else 'These runs stored no confusion matrices of their validations.'
        ),
        id='classes',
    )


def class_table(record: dict, groups: Sequence[Group]) -> Markup:
    """A table with a row per class and, for each domain, a column per group.

    Published figures of the authors are further columns.

    Args:
        record (dict): A validation record with the class set, see :func:`write_validation`.
        groups (Sequence[Group]): The groups that use the class set.
    """
    classes = record['classes']
    first_head, second_head = [tag('th', '', rowspan=2)], []
    rows = [
        [tag('th', swatch(colour), name, scope='row')]
        for name, colour in zip(classes, record['palette'])
    ]
    for domain in counted_domains(groups):
        columns = []
        for group in groups:
            found = [
                (100 * iou(torch.from_numpy(each))).tolist() for each in confusions(group, domain)
            ]
            columns.append([figure(values) for values in zip(*found)] if found else [])
        published = [
            each.per_domain[domain]['IoU']
            for each in published_settings(groups)
            if each.per_domain.get(domain, {}).get('IoU')
        ]
        span = len(groups) + len(published)
        first_head.append(tag('th', domain, colspan=span, scope='colgroup', class_='begin'))
        second_head += [*map(group_name, groups), *['the authors’'] * len(published)]
        for number, name in enumerate(classes):
            figures = [column[number] if column else None for column in columns]
            means = [each.mean for each in figures if each and np.isfinite(each.mean)]
            for place, each in enumerate(figures):
                is_best = each is not None and each.mean == max(means, default=0) > min(
                    means, default=0
                )
                kind = 'begin' if place == 0 else None
                rows[number].append(figure_cell(each, is_best, kind))
            rows[number] += [
                tag('td', f'{each[name]:.2f}' if name in each else '–') for each in published
            ]
    return table([first_head, second_head], rows, class_='figures')


def figure_cell(each: Figure | None, is_best: bool, kind: str | None) -> Markup:
    """A cell of the table of classes; ``kind`` is its CSS class."""
    text = '–' if each is None else str(each)
    return tag('td', tag('strong', text) if is_best else text, class_=kind)


def confusion_matrices(groups: Sequence[Group]) -> Markup:
    """The section with a confusion matrix for each group and domain."""
    parts = []
    best = leader(groups)
    for record, members in label_spaces(groups):
        for group in members:
            matrices = []
            for domain in counted_domains([group]):
                found = confusions(group, domain)
                if found:
                    matrices.append(matrix(domain, np.sum(found, axis=0), record))
            content = tag('div', matrices, class_='matrices')
            parts.append(details(group_name(group), content, open_=group is best))
    return section(
        'Confusion matrices',
        parts,
        paragraph(
            'Rows: labels. Columns: predictions. Percent of the labelled pixels of a class, at the '
            'best validation; the pixels of several seeds are added up.'
            if parts
            else 'These runs stored no confusion matrices of their validations.'
        ),
        id='confusion',
    )


def matrix(title: str, counts: np.ndarray, record: dict) -> Markup:
    """A confusion matrix as a table with shaded cells.

    Args:
        title (str): The title.
        counts (np.ndarray): (C, C) pixels, with labels as rows and predictions as columns.
        record (dict): A validation record with the names and colours of the classes.
    """
    classes, palette = record['classes'], record['palette']
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    head = [''] + [
        tag('th', tag('span', swatch(colour), name), scope='col')
        for name, colour in zip(classes, palette)
    ]
    rows = []
    for label, (name, colour) in enumerate(zip(classes, palette)):
        cells = [
            tag(
                'td',
                f'{100 * share:.0f}' if share >= 0.005 else '',
                title=f'{name} predicted as {classes[prediction]}: {100 * share:.2f} %',
                class_='strong' if share > STRONG else None,
                style=f'--share:{share:.3f}' if share >= 0.0005 else None,
            )
            for prediction, share in enumerate(shares[label])
        ]
        rows.append([tag('th', swatch(colour), name, scope='row'), *cells])
    return tag(
        'figure', tag('figcaption', title), table([head], rows, class_='confusion'), class_='matrix'
    )
