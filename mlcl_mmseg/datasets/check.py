"""Check all files of a training before it starts. Only headers are read, so this is fast."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ..errors import InputError
from .domain import DomainDataset
from .image_files import open_image
from .multi_domain import MultiDomainDataset

NUM_THREADS = 16


def check_data(train: MultiDomainDataset, validation: Sequence[DomainDataset] = ()) -> None:
    """Check that no two domains share an image and that every file can be used.

    Args:
        train (MultiDomainDataset): The training set.
        validation (Sequence[DomainDataset]): The validation sets.

    Raises:
        InputError: If two training domains share an image, if an image or a required label cannot
            be read, or if one of them has the wrong mode or size.
    """
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        check_distinct(train.domains, pool)
        check_files([*train.domains, *validation], pool)


def check_distinct(domains: Sequence[DomainDataset], pool: ThreadPoolExecutor) -> None:
    """Check that no image belongs to two domains, not even through a symbolic link.

    Raises:
        InputError: If an image belongs to two domains.
    """
    owners: dict[str, DomainDataset] = {}
    for domain in domains:
        paths = [domain.get_data_info(index)['img_path'] for index in range(len(domain))]
        for path, real_path in zip(paths, pool.map(os.path.realpath, paths)):
            owner = owners.setdefault(real_path, domain)
            if owner is not domain:
                raise InputError(
                    f'{path} is read by the {owner.role} {owner.domain!r} and by the {domain.role} '
                    f'{domain.domain!r}: set data_root or split so that they share no image.'
                )


def check_files(domains: Sequence[DomainDataset], pool: ThreadPoolExecutor) -> None:
    """Check the header of every image, and of its label if the role reads labels.

    Raises:
        InputError: If a file is wrong. The message gives the number of errors and the first one
            in sorted order.
    """
    samples = [(domain, index) for domain in domains for index in range(len(domain))]
    # keyed by path, since a target may use the same images for training and validation
    errors = dict(filter(None, pool.map(lambda sample: find_error(*sample), samples)))
    if not errors:
        return
    first = errors[min(errors)]
    if len(errors) == 1:
        raise first
    raise InputError(
        f'{len(errors)} images or their labels are wrong. The first error: {first}'
    ) from first


def find_error(domain: DomainDataset, index: int) -> tuple[str, InputError] | None:
    """Return the path of an image and the error in it or its label; None if both are correct."""
    data_info = domain.get_data_info(index)
    path, remedy = data_info['img_path'], data_info['remedy']
    try:
        image = open_image(path, load=False, remedy=remedy)
        domain.check_image(image, path)
        if domain.labelled:
            domain.label_format.check(data_info['seg_map_path'], path, image.size, remedy)
    except InputError as error:
        return path, error
    return None
