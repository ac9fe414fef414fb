"""Write the report page of runs."""

from collections.abc import Sequence
from pathlib import Path

from mmseg.utils import register_all_modules

from ..durable_files import write_durably
from .class_figures import class_tables, confusion_matrices
from .curves import training_curves, validation_curves
from .document import document
from .groups import group_runs
from .overview import best_figures, environments, settings
from .pictures import pictures
from .pseudo_label_quality import pseudo_label_quality
from .run import read_runs

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
    text = document(', '.join(group.name for group in groups), sections, LINKS)
    write_durably(path, text.encode(), 'start again')
