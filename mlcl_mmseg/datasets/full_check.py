"""Check all data of a config pixel by pixel, and count its classes."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmseg.registry import DATASETS
from PIL import Image
from rich.markup import escape
from rich.progress import track

from ..errors import InputError, MissingFileError, printable
from ..interruption import start_worker
from ..labels import IGNORE_INDEX
from ..untrusted_files import find_files
from .config_domains import config_domains
from .data_report import DataReport, SampleCheck, notes_of, shared_images, summarise
from .domain import DomainDataset
from .found_files import folded, visible
from .image_files import has_suffix, open_image, orientation

# the domain whose samples a worker process checks
shared_domain: DomainDataset


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
        infos = [domain.get_data_info(index) for index in range(len(domain))]
        report.notes += filter(None, [domain.count_unread(infos)])
        missing = []
        if domain.labelled:
            missing = missing_labels(domain, infos, report)
            report.notes += [
                f'{path} has no image: it is not read.' for path in lone_labels(domain)
            ]
        checks = check_samples(domain, name, num_workers)
        for check in checks:
            report.problems += check.problems
            report.notes += check.notes
            if check.digest:
                owners[check.digest].append((role, check.path))
        found = summarise(domain, name, checks, missing)
        report.notes += notes_of(found, checks)
        report.domains.append(found)
    report.problems += shared_images(owners.values())
    return report


def missing_labels(domain: DomainDataset, infos: Sequence[dict], report: DataReport) -> list[str]:
    """Return the labels that do not exist, and add one sentence about them to the report."""
    labels = [Path(data_info['seg_map_path']) for data_info in infos]
    try:
        domain.require_files(labels)
    except MissingFileError as error:
        report.problems.append(str(error))
    return [str(label) for label in labels if not os.path.isfile(label)]


def lone_labels(domain: DomainDataset) -> list[Path]:
    """Return the labels without an image, in any part of the data set; none for a copy."""
    if domain.prepared_copy is not None:
        return []
    # the method of the base class, since a subclass may omit images of other splits
    images = DomainDataset.find_images(domain, domain.image_folder())
    used = {folded(path) for image in images for path in domain.label_paths(image)}
    # what labels are named like: what comes before and after the name of an image
    patterns = {
        path for suffix in domain.image_suffixes for path in domain.label_paths(Path(f'*{suffix}'))
    }
    lone = set()
    for pattern in patterns:
        start, _, end = pattern.name.partition('*')
        for path in find_files(pattern.parent) if pattern.parent.is_dir() else ():
            label = pattern.parent / path
            is_label = visible(path) and path.name.startswith(start) and has_suffix(path, [end])
            if is_label and folded(label) not in used:
                lone.add(label)
    return sorted(lone)


def check_samples(domain: DomainDataset, title: str, num_workers: int | None) -> list[SampleCheck]:
    """Check all samples of a domain in several processes, with a progress bar.

    Raises:
        InputError: If a process is killed from outside.
    """
    try:
        with ProcessPoolExecutor(
            num_workers, initializer=start_worker, initargs=(share, domain)
        ) as pool:
            found = pool.map(check_sample, range(len(domain)), chunksize=8)
            return list(track(found, escape(printable(title)), total=len(domain)))
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
        check.rotated = orientation(check.path) > 1
        domain.check_image(image, check.path)
        if image.mode != 'RGB':
            check.notes.append(f'{check.path} has mode {image.mode}: it is read as RGB.')
        describe_pixels(image, check)
        # missing labels are reported together, by missing_labels
        if domain.labelled and os.path.isfile(data_info['seg_map_path']):
            check_label(domain, data_info['seg_map_path'], image.size, check)
    except InputError as error:
        check.problems.append(str(error))
    return check


def describe_pixels(image: Image.Image, check: SampleCheck) -> None:
    """Set the digest of an image by which it is found under another name.

    An image of one colour, such as a black frame, is no evidence that two data sets share images.
    """
    # as the network sees it: one image may be stored in several modes
    colours = image.convert('RGB')
    check.one_colour = colours.getcolors(1) is not None
    if not check.one_colour:
        content = check.size.encode() + colours.tobytes()
        check.digest = hashlib.sha256(content).hexdigest()


def check_label(
    domain: DomainDataset, path: str, image_size: tuple[int, int], check: SampleCheck
) -> None:
    """Count the ids of a label, and check that the data set defines them.

    Raises:
        InputError: If the label cannot be read or has the wrong mode or size.
    """
    domain.label_format.check(path, check.path, image_size)
    label = open_image(path)
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
