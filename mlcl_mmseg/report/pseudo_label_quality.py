"""Accuracy of the pseudo-labels, measured on target training images that have labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmseg.registry import DATASETS

from ..datasets.domain import DomainDataset
from ..datasets.image_files import open_image
from ..engine.run_records import read_pseudo_label
from ..errors import InputError
from ..evaluation import iou
from ..labels import IGNORE_INDEX
from .chart import Line, line_chart
from .curves import legend
from .groups import Group, figure
from .markup import Markup, paragraph, section, table, tag
from .overview import group_name
from .run import Run

TITLES = dict(
    hard_accuracy='accuracy, all pixels (%)',
    kept_accuracy='accuracy, kept pixels (%)',
    kept_share='kept pixels (%)',
    hard_miou='mIoU, all pixels (%)',
    kept_miou='mIoU, kept pixels (%)',
)


def labelled_targets(run: Run) -> list[DomainDataset]:
    """The target training images of a run with their labels, which training never opens.

    Raises:
        InputError: If the data have been moved.
    """
    domains = []
    for target in run.config.train_dataloader.dataset.targets:
        split = target.get('split') or DATASETS.get(target.type).splits['target']
        options = dict(role='validation', split=split, pipeline=[], require_labels=False)
        domains.append(DATASETS.build({**target, **options}))
    return domains


def quality(run: Run) -> dict[str, dict[int, dict[str, float]]]:
    """Measure the pseudo-labels that a run stored.

    Args:
        run (Run): The run.

    Returns:
        dict[str, dict[int, dict[str, float]]]: By domain and iteration, the figures in
        :data:`TITLES`, and the number of ``images``. Images without a label file and domains
        without label files are skipped.

    Raises:
        InputError: If the data have been moved, or if a file is damaged.
    """
    figures: dict[str, dict[int, dict[str, float]]] = {}
    generations = run.generations
    for domain in labelled_targets(run) if generations else []:
        infos = map(domain.get_data_info, range(len(domain)))
        labels = {info['sample_name']: info['seg_map_path'] for info in infos}
        for iteration, folder in generations.items():
            files = sorted((folder / domain.domain).rglob('*.png'))
            names = [
                str(path.relative_to(folder / domain.domain).with_suffix('')) for path in files
            ]
            pairs = [
                (path, labels[name])
                for path, name in zip(files, names)
                if name in labels and Path(labels[name]).is_file()
            ]
            if pairs:
                found = measure(domain, pairs)
                figures.setdefault(domain.domain, {})[iteration] = found
    return figures


def measure(domain: DomainDataset, pairs: Sequence[tuple[Path, str]]) -> dict[str, float]:
    """Compare pseudo-labels with labels at the points of the pseudo-labels' grid.

    Args:
        domain (DomainDataset): The domain, which maps raw labels to classes.
        pairs (Sequence[tuple[Path, str]]): Pairs of a pseudo-label file and a label file.

    Returns:
        dict[str, float]: The figures in :data:`TITLES`, in percent, and the number of ``images``.
    """
    num_classes = len(domain.metainfo['classes'])
    counts = np.zeros((2, num_classes, num_classes), int)
    num_kept = num_pixels = 0
    for pseudo_label, label_file in pairs:
        hard, kept = read_pseudo_label(pseudo_label)
        label = domain.label_format.map(np.array(open_image(label_file)), label_file)
        label = at_grid_points(label, hard.shape)
        for number, chosen in enumerate((label != IGNORE_INDEX, kept & (label != IGNORE_INDEX))):
            pairs_of = label[chosen].astype(int) * num_classes + hard[chosen]
            counts[number] += np.bincount(pairs_of, minlength=num_classes**2).reshape(
                counts[0].shape
            )
        num_kept, num_pixels = num_kept + kept.sum(), num_pixels + kept.size
    found = dict(images=len(pairs), kept_share=100 * num_kept / num_pixels)
    for name, confusion in zip(('hard', 'kept'), counts):
        total = confusion.sum()
        found[f'{name}_accuracy'] = 100 * np.trace(confusion) / total if total else float('nan')
        found[f'{name}_miou'] = 100 * float(iou(torch.from_numpy(confusion)).nanmean())
    return found


def at_grid_points(label: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Sample a label at the points of a grid that spans it from corner to corner.

    Logits that are resized with ``align_corners`` lie at these points.

    Args:
        label (np.ndarray): (H, W).
        shape (tuple[int, int]): (h, w) of the grid.

    Returns:
        np.ndarray: (h, w).
    """
    rows, columns = (
        np.linspace(0, n - 1, k).round().astype(int) for n, k in zip(label.shape, shape)
    )
    return label[rows[:, None], columns]


def pseudo_label_quality(groups: Sequence[Group]) -> Markup:
    """The section with charts and a table of the figures by iteration."""
    reasons, found = [], {}
    for group in groups:
        for run in group.runs:
            try:
                found[run.name] = quality(run)
            except InputError as error:
                reasons.append(f'No pseudo-labels of {run.name}: {error}')
    shown = [group for group in groups if any(found.get(run.name) for run in group.runs)]
    domains = dict.fromkeys(
        d for group in shown for run in group.runs for d in found.get(run.name, {})
    )
    charts, rows = [], []
    for domain in domains:
        lines = []
        for group in shown:
            tables = [found[run.name].get(domain, {}) for run in group.runs if run.name in found]
            steps = sorted(set.intersection(*map(set, tables)))
            figures = {
                step: {key: figure(each[step][key] for each in tables) for key in TITLES}
                for step in steps
            }
            for key, kind in (('hard_miou', 'all'), ('kept_miou', 'kept')):
                values = {step: each[key].mean for step, each in figures.items()}
                lines.append(Line(f'{group.name}, {kind}', values, group.colour, kind == 'all'))
            for step, each in figures.items():
                images = tables[0][step]['images']
                row = [domain, group_name(group), step, images, *(each[key] for key in TITLES)]
                rows.append(row)
        if any(line.values for line in lines):
            charts.append(line_chart(f'{domain}, mIoU (%) of pseudo-labels', lines))
    body: Markup | list[Markup]
    if charts:
        body = [
            legend(shown, 'all pixels; solid lines: kept pixels'),
            tag('div', charts, class_='charts'),
            table(
                [['domain', 'run', 'iteration', 'images', *TITLES.values()]], rows, class_='figures'
            ),
            paragraph(
                'This page compares the pseudo-labels with labels of the targets’ training images, '
                'which training never opens. Pseudo-labels come from the heads of the domains and '
                'are compared on whole images, at the resolution at which they were stored. Kept '
                'pixels lie below the entropy thresholds of their image; training computes the '
                'thresholds over a batch of crops instead.'
            ),
        ]
    else:
        body = paragraph(
            'None of these runs stored pseudo-labels of target images that have label files.'
        )
    return section(
        'Pseudo-labels',
        body,
        [paragraph(each) for each in reasons],
        id='pseudo-labels',
    )
