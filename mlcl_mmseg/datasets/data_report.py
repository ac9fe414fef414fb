"""What the full check of the data of a config has found, and the sentences that tell it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .domain import DomainDataset


@dataclass
class SampleCheck:
    """The result of checking one image and, if the role reads labels, its label.

    Attributes:
        path (str): The path of the image.
        size (str): Width and height of the image, such as '2048x1024'; '' if it cannot be read.
        digest (str): SHA-256 of the size and the RGB pixels of the image; '' if it cannot be read
            or has only one colour, which two images may have by chance.
        one_colour (bool): Whether all pixels of the image are equal.
        rotated (bool): Whether its EXIF orientation says that the stored image is rotated.
        counts (np.ndarray, optional): (256,) number of pixels of each raw id.
        problems (list[str]): Errors in the image or its label.
        notes (list[str]): Unusual properties that cause no error.
    """

    path: str
    size: str = ''
    digest: str = ''
    one_colour: bool = False
    rotated: bool = False
    counts: np.ndarray | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class DomainReport:
    """The result of checking a domain in one of its roles.

    Attributes:
        name (str): Role and name of the domain, such as 'validation idd'.
        num_images (int): Number of images.
        sizes (dict[str, int]): Number of images of each size, the most frequent size first.
        missing_labels (list[str]): Paths of required labels that do not exist.
        class_pixels (dict[str, int]): Number of pixels of each class; empty if no labels are read.
        ignored (float, optional): Fraction of label pixels that the mapping ignores, 0 to 1.
        unnamed_ids (dict[int, float]): Fraction of label pixels of each id that the mapping does
            not name, 0 to 1.
    """

    name: str
    num_images: int
    sizes: dict[str, int]
    missing_labels: list[str]
    class_pixels: dict[str, int]
    ignored: float | None
    unnamed_ids: dict[int, float] = field(default_factory=dict)


@dataclass
class DataReport:
    """The result of checking all data of a config.

    Attributes:
        domains (list[DomainReport]): One report for each domain and role.
        problems (list[str]): All errors.
        notes (list[str]): Unusual properties that cause no error.
    """

    domains: list[DomainReport] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def summarise(
    domain: DomainDataset, title: str, checks: Sequence[SampleCheck], missing: list[str]
) -> DomainReport:
    """Sum the results of the samples of a domain."""
    sizes = dict(Counter(check.size for check in checks if check.size).most_common())
    counts = [check.counts for check in checks if check.counts is not None]
    if not counts:
        return DomainReport(title, len(domain), sizes, missing, {}, None)
    total = np.sum(counts, axis=0)
    classes = domain.metainfo['classes']
    pixels = {
        each: int(total[domain.label_format.lookup == index].sum())
        for index, each in enumerate(classes)
    }
    num_pixels = int(total.sum())
    unnamed = {
        index: int(total[index]) / num_pixels
        for index in np.flatnonzero(total).tolist()
        if index not in domain.named_ids
    }
    ignored = 1 - sum(pixels.values()) / num_pixels
    return DomainReport(title, len(domain), sizes, missing, pixels, ignored, unnamed)


def notes_of(report: DomainReport, checks: Sequence[SampleCheck]) -> list[str]:
    """Return one sentence for each unusual property that several files of a domain share."""
    notes = []
    rotated = [check.path for check in checks if check.rotated]
    if rotated:
        notes.append(
            f'{len(rotated)} images of {report.name} have an EXIF orientation and are read as they '
            f'are stored, the first is {rotated[0]}: docs/data.md shows how to rotate their pixels.'
        )
    empty = [check.path for check in checks if check.one_colour]
    if empty:
        notes.append(
            f'{len(empty)} images of {report.name} have only one colour, the first is {empty[0]}: '
            'remove them if they show nothing.'
        )
    if report.unnamed_ids:
        shares = ', '.join(
            f'id {each}: {100 * share:.4g} %' for each, share in report.unnamed_ids.items()
        )
        notes.append(
            f'Labels of {report.name} have ids that label_map does not name, which are ignored, '
            f'with these shares of the pixels: {shares}.'
        )
    return notes


def shared_images(owners: Iterable[list[tuple[str, str]]]) -> list[str]:
    """Return one error for each image that is used for both training and validation."""
    problems = []
    for files in owners:
        trained = sorted({path for role, path in files if role != 'validation'})
        validated = sorted({path for role, path in files if role == 'validation'})
        if trained and validated:
            problems.append(
                f'{validated[0]}, used for validation, is the same image as {trained[0]}, used for '
                'training: remove it from one of the two.'
            )
    return problems
