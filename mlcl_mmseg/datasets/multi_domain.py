"""Combine source and targets into one training set, and validation sets into one."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from mmengine.dataset import ConcatDataset
from mmengine.dist import get_dist_info
from mmseg.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import Dataset, Sampler

from ..errors import InputError

if TYPE_CHECKING:
    from ..pseudo_labels.store import PseudoLabelGeneration


class StreamPosition(NamedTuple):
    """A position in the infinite stream of training samples, which alone determines a sample.

    Attributes:
        seed (int): The seed of the run.
        index (int): Index of the sample in the stream, starting at 0.
    """

    seed: int
    # it hides the method index of tuples, which is not used
    index: int  # type: ignore[assignment]


@contextmanager
def seeded(*key: int) -> Iterator[None]:
    """Seed Python's and NumPy's global generators with ``key`` and restore them afterwards.

    Transforms of MMCV, of MMSegmentation and of this project draw from these two generators.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    words = np.random.SeedSequence(key).generate_state(4)
    random.seed(words.tobytes())
    np.random.seed(words)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


@DATASETS.register_module()
class MultiDomainDataset(Dataset):
    """One source image and one image of each target at each position of the stream.

    Each domain is read in epochs of its own length, and each epoch has a new order. The order and
    all random numbers of the pipelines are derived from (seed, position, domain), so that neither
    the number of workers nor the number of processes changes a sample.

    Args:
        source (dict): Config of the labelled domain.
        targets (list[dict]): Configs of the unlabelled domains. Their labels are never opened.
        source_pipeline (Sequence[dict]): Transforms of source images.
        target_pipeline (Sequence[dict]): Transforms of target images.

    Raises:
        InputError: If two domains have the same name.
    """

    def __init__(
        self,
        source: dict,
        targets: Sequence[dict],
        source_pipeline: Sequence[dict],
        target_pipeline: Sequence[dict],
    ) -> None:
        self.source = DATASETS.build({**source, 'role': 'source', 'pipeline': source_pipeline})
        self.targets = [
            DATASETS.build({**target, 'role': 'target', 'pipeline': target_pipeline})
            for target in targets
        ]
        names = [domain.domain for domain in self.domains]
        for name in names:
            if names.count(name) > 1:
                where = 'as source and as target' if name == names[0] else 'among the targets'
                raise InputError(
                    f'The domain {name!r} is listed twice, {where}: list each domain once, or set '
                    'different names by domain=... for two parts of one data set.'
                )
        self.pseudo_labels: PseudoLabelGeneration | None = None
        self._order_cache: dict[int, tuple[tuple[int, int], np.ndarray]] = {}

    @property
    def domains(self) -> list:
        """The source, followed by the targets."""
        return [self.source, *self.targets]

    @property
    def metainfo(self) -> dict:
        """Classes and palette, and the names of the source and the targets.

        MMEngine saves them in every checkpoint, so that MCL knows the domains of a warm-up.
        """
        return {
            **self.source.metainfo,
            'source': self.source.domain,
            'targets': [target.domain for target in self.targets],
        }

    def __len__(self) -> int:
        """Return the length of the longest domain; the stream itself is infinite."""
        return max(map(len, self.domains))

    def __getitem__(self, position: StreamPosition) -> dict:
        """Return the sample at a position: ``dict(source=dict, targets=[dict] * N)`` of tensors."""
        source, *targets = (
            self.domain_sample(number, StreamPosition(*position))
            for number in range(len(self.domains))
        )
        return dict(source=source, targets=targets)

    def domain_sample(self, number: int, position: StreamPosition) -> dict:
        """Return the part of one domain in the sample at a position; the source is number 0."""
        domain = self.domains[number]
        results = domain.get_data_info(self.image_at(number, position))
        if number > 0 and self.pseudo_labels is not None:
            results['pseudo_label_path'] = self.pseudo_labels.path(
                domain.domain, results['sample_name']
            )
        with seeded(position.seed, position.index, number):
            return domain.run_pipeline(domain.pipeline, results)

    def image_at(self, number: int, position: StreamPosition) -> int:
        """Return the index of the image of a domain at a position; the source is number 0."""
        epoch, place = divmod(position.index, len(self.domains[number]))
        return int(self._order(number, position.seed, epoch)[place])

    def _order(self, number: int, seed: int, epoch: int) -> np.ndarray:
        """Return the order of the images of one domain in one of its epochs."""
        cached = self._order_cache.get(number)
        if cached is None or cached[0] != (seed, epoch):
            generator = np.random.default_rng([seed, number, epoch])
            cached = (seed, epoch), generator.permutation(len(self.domains[number]))
            self._order_cache[number] = cached
        return cached[1]


@DATA_SAMPLERS.register_module()
class StreamSampler(Sampler):
    """The positions of the stream that this process reads: every ``world_size``-th position.

    Args:
        dataset (MultiDomainDataset): The data set (MMEngine passes it to every sampler).
        seed (int): The seed of the run.
    """

    def __init__(self, dataset: MultiDomainDataset, seed: int) -> None:
        self.rank, self.world_size = get_dist_info()
        self.length = len(dataset)
        self.seed = seed
        self.start = 0

    def skip(self, num_samples: int) -> None:
        """Let the next iterator skip the first ``num_samples`` positions of this process."""
        self.start = num_samples

    def __iter__(self) -> Iterator[StreamPosition]:
        """Yield positions without end."""
        index = self.rank + self.start * self.world_size
        while True:
            yield StreamPosition(self.seed, index)
            index += self.world_size

    def __len__(self) -> int:
        """Return the length of the longest domain."""
        return self.length


@DATASETS.register_module()
class MultiDomainValidation(ConcatDataset):
    """The concatenated validation sets of several domains. Each sample names its domain.

    Args:
        domains (list[dict]): Configs of the domains.
        pipeline (Sequence[dict]): The transforms, the same for all domains.
    """

    def __init__(self, domains: Sequence[dict], pipeline: Sequence[dict]) -> None:
        super().__init__(
            [
                DATASETS.build({**domain, 'role': 'validation', 'pipeline': pipeline})
                for domain in domains
            ]
        )
        # every process of an evaluation then knows all domains in the same order
        self._metainfo['domains'] = [dataset.domain for dataset in self.datasets]
