"""Look at all files of a training before it starts: the headers alone, so it takes little time."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ..errors import InputError
from .domain import DomainDataset
from .image_files import open_image
from .multi_domain import MultiDomainDataset

NUM_THREADS = 16


def check_data(train: MultiDomainDataset, validation: Sequence[DomainDataset] = ()) -> None:
    """Check that the domains are distinct and that every file of theirs can be used.

    Args:
        train (MultiDomainDataset): The training set.
        validation (Sequence[DomainDataset]): The validation sets.

    Raises:
        InputError: If two of the training's domains share an image, an image or a needed label
            cannot be read, or one of them has the wrong mode or size.
    """
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        check_distinct(train.domains, pool)
        check_files([*train.domains, *validation], pool)


def check_distinct(domains: Sequence[DomainDataset], pool: ThreadPoolExecutor) -> None:
    """Check that no image belongs to two domains, by whatever name or link.

    Raises:
        InputError: If one does.
    """
    owners: dict[str, DomainDataset] = {}
    for domain in domains:
        paths = [domain.get_data_info(index)['img_path'] for index in range(len(domain))]
        for path, real_path in zip(paths, pool.map(os.path.realpath, paths)):
            owner = owners.setdefault(real_path, domain)
            if owner is not domain:
                raise InputError(
                    f'{path} is read by the {owner.role} {owner.domain!r} and by the {domain.role} '
                    f'{domain.domain!r}: give each domain images of its own by data_root or split.'
                )


def check_files(domains: Sequence[DomainDataset], pool: ThreadPoolExecutor) -> None:
    """Check the header of every image, and of its label where the role reads labels.

    Raises:
        InputError: If any is wrong. It tells the first in sorted order and how many there are.
    """
    samples = [(domain, index) for domain in domains for index in range(len(domain))]
    # by path, since a target's training images may be those of its validation
    errors = dict(filter(None, pool.map(lambda sample: find_error(*sample), samples)))
    if not errors:
        return
    first = errors[min(errors)]
    if len(errors) == 1:
        raise first
    raise InputError(
        f'{len(errors)} images or their labels are wrong, the first: {first}'
    ) from first


def find_error(domain: DomainDataset, index: int) -> tuple[str, InputError] | None:
    """The image's path and what is wrong with it or its label, if anything."""
    data_info = domain.get_data_info(index)
    try:
        image = open_image(data_info['img_path'], load=False, remedy=data_info['remedy'])
        domain.check_image(image, data_info['img_path'])
        if domain.labelled:
            label = open_image(data_info['seg_map_path'], load=False, remedy=data_info['remedy'])
            domain.label_format.check(label, image.size, data_info['seg_map_path'])
    except InputError as error:
        return data_info['img_path'], error
    return None
