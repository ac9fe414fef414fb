"""A contact sheet of a training batch, with the inputs of the losses of a step."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..datasets.multi_domain import MultiDomainDataset
from .cells import CellPainter, cell_size
from .columns import Columns
from .contact_sheet import Section, contact_sheet

if TYPE_CHECKING:
    from ..methods.base import DomainSegmentor


def batch_sheet(
    segmentor: 'DomainSegmentor',
    dataset: MultiDomainDataset,
    batch: dict,
    titles: Sequence[str] = (),
) -> np.ndarray:
    """Draw a contact sheet of a training batch.

    It has one section for the source and one for each target, with a row per image and the columns
    that the method defines.

    Args:
        segmentor (DomainSegmentor): A segmentor of any method.
        dataset (MultiDomainDataset): The data set of the batch.
        batch (dict): The batch after the segmentor's data preprocessor.
        titles (Sequence[str]): Lines of text at the top of the sheet.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB.
    """
    classes, palette = dataset.metainfo['classes'], dataset.metainfo['palette']
    paint = CellPainter(palette, cell_size(batch['source']['img'].shape[2:]))
    title = f'source {dataset.source.domain}'
    sections = [section(paint, title, batch['source'], segmentor.source_columns(batch))]
    for index, target in enumerate(batch['targets']):
        title = f'target {dataset.targets[index].domain}'
        columns = segmentor.target_columns(batch, index)
        sections.append(section(paint, title, target, columns))
    return contact_sheet(sections, titles, classes, palette)


def section(paint: CellPainter, title: str, part: dict, columns: Columns) -> Section:
    """Paint one domain's part of a batch; each row has the name of its image file."""
    names = [Path(path).name for path in part['img_path']]
    painted = map(paint.column, columns.values())
    return Section(title, [*columns], list(zip(names, zip(*painted))))
