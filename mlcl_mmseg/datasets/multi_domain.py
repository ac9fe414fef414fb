"""Source and targets as one training set; the targets' validation sets as one."""

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
    """A place in the endless stream of training samples; a sample is a function of it alone.

    Attributes:
        seed (int): The run's seed.
        index (int): Number of the sample in the stream, from 0.
    """

    seed: int
    # it hides a method of tuples that is not used
    index: int  # type: ignore[assignment]


@contextmanager
def seeded(*key: int) -> Iterator[None]:
    """Seed Python's and NumPy's global generators with ``key`` and restore them afterwards.

    Transforms of MMCV and MMSegmentation draw from these two; so do ours.
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
    """One source image and one image of each target per position of the stream.

    Each domain is read in epochs of its own length, each epoch in a new order. The order, and all
    that the pipelines draw, derive from (seed, position, domain): neither the number of workers
    nor of processes changes a sample.

    Args:
        source (dict): Config of the labelled domain.
        targets (list[dict]): Configs of the unlabelled domains; no label of theirs is opened.
        source_pipeline (Sequence[dict]): Transforms of source images.
        target_pipeline (Sequence[dict]): Transforms of target images.

    Raises:
        InputError: If two of the domains bear the same name.
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
                    f'The domain {name!r} is given twice, {where}: name each domain once, or tell '
                    'two parts of one data set apart by domain=....'
                )
        self.pseudo_labels: PseudoLabelGeneration | None = None
        self._order_cache: dict[int, tuple[tuple[int, int], np.ndarray]] = {}

    @property
    def domains(self) -> list:
        """The source, then the targets."""
        return [self.source, *self.targets]

    @property
    def metainfo(self) -> dict:
        """Classes and palette, and the names of the source and the targets.

        MMEngine keeps it in every checkpoint, so that MCL can tell what a warm-up was made for.
        """
        return {
            **self.source.metainfo,
            'source': self.source.domain,
            'targets': [target.domain for target in self.targets],
        }

    def __len__(self) -> int:
        """Length of the longest domain; the stream itself is endless."""
        return max(map(len, self.domains))

    def __getitem__(self, position: StreamPosition) -> dict:
        """The sample at a position: ``dict(source=dict, targets=[dict] * N)`` of tensors."""
        source, *targets = (
            self.domain_sample(number, StreamPosition(*position))
            for number in range(len(self.domains))
        )
        return dict(source=source, targets=targets)

    def domain_sample(self, number: int, position: StreamPosition) -> dict:
        """One domain's part of the sample at a position; the source is number 0."""
        domain = self.domains[number]
        results = domain.get_data_info(self.image_at(number, position))
        if number > 0 and self.pseudo_labels is not None:
            results['pseudo_label_path'] = self.pseudo_labels.path(
                domain.domain, results['sample_name']
            )
        with seeded(position.seed, position.index, number):
            return domain.run_pipeline(domain.pipeline, results)

    def image_at(self, number: int, position: StreamPosition) -> int:
        """Which of a domain's images is at a position; the source is number 0."""
        epoch, place = divmod(position.index, len(self.domains[number]))
        return int(self._order(number, position.seed, epoch)[place])

    def _order(self, number: int, seed: int, epoch: int) -> np.ndarray:
        """The order of one domain's images in one of its epochs."""
        cached = self._order_cache.get(number)
        if cached is None or cached[0] != (seed, epoch):
            generator = np.random.default_rng([seed, number, epoch])
            cached = (seed, epoch), generator.permutation(len(self.domains[number]))
            self._order_cache[number] = cached
        return cached[1]


@DATA_SAMPLERS.register_module()
class StreamSampler(Sampler):
    """The positions of the stream that this process takes: every ``world_size``-th.

    Args:
        dataset (MultiDomainDataset): The data set (MMEngine passes it to every sampler).
        seed (int): The run's seed.
    """

    def __init__(self, dataset: MultiDomainDataset, seed: int) -> None:
        self.rank, self.world_size = get_dist_info()
        self.length = len(dataset)
        self.seed = seed
        self.start = 0

    def skip(self, num_samples: int) -> None:
        """Let the next iterator start after this process's first ``num_samples`` positions."""
        self.start = num_samples

    def __iter__(self) -> Iterator[StreamPosition]:
        """Positions without end."""
        index = self.rank + self.start * self.world_size
        while True:
            yield StreamPosition(self.seed, index)
            index += self.world_size

    def __len__(self) -> int:
        """Length of the longest domain."""
        return self.length


@DATASETS.register_module()
class MultiDomainValidation(ConcatDataset):
    """The validation sets of several domains, one after the other; each sample tells its domain.

    Args:
        domains (list[dict]): Configs of the domains.
        pipeline (Sequence[dict]): The transforms, the same for all.
    """

    def __init__(self, domains: Sequence[dict], pipeline: Sequence[dict]) -> None:
        super().__init__(
            [
                DATASETS.build({**domain, 'role': 'validation', 'pipeline': pipeline})
                for domain in domains
            ]
        )
        # each process of an evaluation knows all of them, in one order
        self._metainfo['domains'] = [dataset.domain for dataset in self.datasets]
