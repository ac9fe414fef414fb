"""A training batch as a contact sheet: what the losses of a step see."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import nn

from ..datasets.multi_domain import MultiDomainDataset
from ..methods.mcl import MCLSegmentor
from .cells import CellPainter, cell_size
from .contact_sheet import Section, contact_sheet

# pictures of all images of a batch, by the heading of their column
Columns = dict[str, list[np.ndarray]]


def batch_sheet(
    segmentor: nn.Module, dataset: MultiDomainDataset, batch: dict, titles: Sequence[str] = ()
) -> np.ndarray:
    """The source, then each target: a row for each image.

    Args:
        segmentor (nn.Module): Of any stage. MCL's has style transfer and pseudo-labels.
        dataset (MultiDomainDataset): Where the batch comes from.
        batch (dict): What the segmentor's data preprocessor makes of it.
        titles (Sequence[str]): Lines above all.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB.
    """
    classes, palette = dataset.metainfo['classes'], dataset.metainfo['palette']
    paint = CellPainter(palette, cell_size(batch['source']['img'].shape[2:]))
    source, targets = batch['source'], batch['targets']
    names = [domain.domain for domain in dataset.targets]
    columns = source_columns(paint, segmentor, names, batch)
    sections = [section(f'source {dataset.source.domain}', source, columns)]
    for index, target in enumerate(targets):
        columns = target_columns(paint, segmentor, names, index, targets)
        sections.append(section(f'target {names[index]}', target, columns))
    return contact_sheet(sections, titles, classes, palette)


def section(title: str, part: dict, columns: Columns) -> Section:
    """One domain's part of a batch, rows named by the image files."""
    names = [Path(path).name for path in part['img_path']]
    return Section(title, [*columns], list(zip(names, zip(*columns.values()))))


def source_columns(
    paint: CellPainter, segmentor: nn.Module, names: Sequence[str], batch: dict
) -> Columns:
    """Image, label and, where the stage has style transfer, the colours of each target."""
    source = batch['source']
    columns = {
        'image': [*map(paint.image, source['img'])],
        'label': [*map(paint.classes, source['img'], source['label'])],
    }
    if isinstance(segmentor, MCLSegmentor):
        for name, styled in zip(names, segmentor.source_styles(source, batch['targets'])):
            columns[f'in the colours of {name}'] = [*map(paint.image, styled)]
    return columns


def target_columns(
    paint: CellPainter,
    segmentor: nn.Module,
    names: Sequence[str],
    index: int,
    targets: Sequence[dict],
) -> Columns:
    """Views, colours of the other targets and, where there are any, pseudo-labels."""
    target = targets[index]
    columns = {'weak view': [*map(paint.image, target['img'])]}
    if not isinstance(segmentor, MCLSegmentor):
        return columns
    labelled = 'soft_pseudo_label' in target or segmentor.teacher is not None
    if labelled:
        confidence, likely = segmentor.soft_view(index, target).max(dim=1)
        columns['soft pseudo-label: likeliest class'] = [*map(paint.classes, target['img'], likely)]
        columns['soft pseudo-label: its probability'] = [*map(paint.share, confidence)]
    columns['strong view'] = [*map(paint.image, target['strong_img'])]
    if labelled:
        selected = segmentor.pseudo_label(index, target)
        columns['selected pseudo-label'] = [*map(paint.classes, target['strong_img'], selected)]
    for j, styled in segmentor.target_styles(index, targets).items():
        columns[f'in the colours of {names[j]}'] = [*map(paint.image, styled)]
    return columns
