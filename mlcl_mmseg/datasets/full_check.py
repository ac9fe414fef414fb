"""Check all data of a config pixel by pixel, and count its classes."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmseg.registry import DATASETS
from rich.progress import track

from ..errors import InputError, MissingFileError
from ..labels import IGNORE_INDEX
from .config_domains import config_domains
from .domain import DomainDataset
from .image_files import open_image

# the domain whose samples a worker process checks
shared_domain: DomainDataset


@dataclass
class SampleCheck:
    """The result of checking one image and, if the role reads labels, its label.

    Attributes:
        path (str): The path of the image.
        size (str): Width and height of the image, such as '2048x1024'; '' if it cannot be read.
        digest (str): SHA-256 of the pixels of the image; '' if it cannot be read.
        counts (np.ndarray, optional): (256,) number of pixels of each raw id.
        problems (list[str]): Errors in the image or its label.
        notes (list[str]): Unusual properties that cause no error.
    """

    path: str
    size: str = ''
    digest: str = ''
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
    """

    name: str
    num_images: int
    sizes: dict[str, int]
    missing_labels: list[str]
    class_pixels: dict[str, int]
    ignored: float | None


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


def check_config_data(config: Config, num_workers: int | None = None) -> DataReport:
    """Read every file that a config would read.

    Args:
        config (Config): The config of any stage.
        num_workers (int, optional): Number of processes. Defaults to one for each CPU core.

    Returns:
        DataReport: The errors and the contents of the domains.
    """
    report, owners = DataReport(), defaultdict(list)
    for role, domain_config, _ in config_domains(config):
        options = dict(role=role, pipeline=[], require_labels=False)
        try:
            domain = DATASETS.build({**domain_config, **options})
        except InputError as error:
            report.problems.append(str(error))
            continue
        name = f'{role} {domain.domain}'
        missing = []
        if domain.labelled:
            missing = missing_labels(domain, report)
            report.notes += [
                f'{path} has no image: it is not read.' for path in lone_labels(domain)
            ]
        checks = check_samples(domain, name, num_workers)
        for check in checks:
            report.problems += check.problems
            report.notes += check.notes
            if check.digest:
                owners[check.digest].append((role, check.path))
        report.domains.append(summarise(domain, name, checks, missing))
    report.problems += shared_images(owners.values())
    return report


def missing_labels(domain: DomainDataset, report: DataReport) -> list[str]:
    """Return the labels that do not exist, and add one sentence about them to the report."""
    infos = [domain.get_data_info(index) for index in range(len(domain))]
    labels = [Path(data_info['seg_map_path']) for data_info in infos]
    try:
        domain.require_files(labels)
    except MissingFileError as error:
        report.problems.append(str(error))
    return [str(label) for label in labels if not label.is_file()]


def lone_labels(domain: DomainDataset) -> list[Path]:
    """Return the labels without an image, in any part of the data set."""
    # the method of the base class, since a subclass may omit images of other splits
    images = DomainDataset.find_images(domain, domain.image_folder())
    patterns = {domain.label_path(Path(f'*{suffix}')) for suffix in domain.image_suffixes}
    labels = {label for each in patterns for label in each.parent.rglob(each.name)}
    lone = labels - {domain.label_path(image) for image in images}
    # macOS creates files whose names begin with ._
    return sorted(label for label in lone if not label.name.startswith('.'))


def check_samples(domain: DomainDataset, title: str, num_workers: int | None) -> list[SampleCheck]:
    """Check all samples of a domain in several processes, with a progress bar.

    Raises:
        InputError: If a process is killed from outside.
    """
    try:
        with ProcessPoolExecutor(num_workers, initializer=share, initargs=(domain,)) as pool:
            found = pool.map(check_sample, range(len(domain)), chunksize=8)
            return list(track(found, title, total=len(domain)))
    except BrokenProcessPool as error:
        raise InputError(
            f'A process that read {title} was killed, most likely for lack of memory: use fewer '
            '--workers.'
        ) from error


def share(domain: DomainDataset) -> None:
    """Send the domain to a process once instead of with every sample."""
    global shared_domain
    shared_domain = domain


def check_sample(index: int) -> SampleCheck:
    """Decode an image of the shared domain, and check every pixel of its label."""
    domain = shared_domain
    data_info = domain.get_data_info(index)
    check = SampleCheck(data_info['img_path'])
    try:
        if domain.prepared_copy is not None:
            # unlike PNG, the format of a prepared copy has no checksums
            for key in ('img_path', 'seg_map_path') if domain.labelled else ('img_path',):
                domain.prepared_copy.check_content(data_info[key])
        image = open_image(check.path)
        check.size = f'{image.width}x{image.height}'
        check.digest = hashlib.sha256(image.tobytes()).hexdigest()
        domain.check_image(image, check.path)
        if image.mode != 'RGB':
            check.notes.append(f'{check.path} has mode {image.mode}: it is read as RGB.')
        # missing labels are reported together, by missing_labels
        if domain.labelled and Path(data_info['seg_map_path']).is_file():
            check_label(domain, data_info['seg_map_path'], image.size, check)
    except InputError as error:
        check.problems.append(str(error))
    return check


def check_label(
    domain: DomainDataset, path: str, image_size: tuple[int, int], check: SampleCheck
) -> None:
    """Count the ids of a label, and check that the data set defines them.

    Raises:
        InputError: If the label cannot be read or has the wrong mode or size.
    """
    label = open_image(path)
    domain.label_format.check(label, image_size, path)
    if label.size != image_size:
        check.notes.append(
            f'{path} is {label.width}x{label.height} and its image is '
            f'{image_size[0]}x{image_size[1]}: both are resized to the working size.'
        )
    check.counts = np.bincount(np.asarray(label).ravel(), minlength=256)
    ids = set(np.flatnonzero(check.counts).tolist())
    unknown = sorted(ids - (ids if domain.known_ids is None else domain.known_ids))
    if unknown:
        check.problems.append(
            f'{path} has the ids {", ".join(map(str, unknown))}, which {type(domain).__name__} '
            'does not define: use the label id images of the data set, or set label_map.'
        )
    elif all(domain.label_format.lookup[each] == IGNORE_INDEX for each in ids):
        check.notes.append(f'{path} has no pixel of any class: all its pixels are ignored.')


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
    ignored = 1 - sum(pixels.values()) / int(total.sum())
    return DomainReport(title, len(domain), sizes, missing, pixels, ignored)


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
