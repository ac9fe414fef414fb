"""What there is to prepare for a config: its data sets, and each of their images once."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mmcv.transforms import Compose
from mmengine.config import Config
from mmseg.registry import DATASETS

from ..errors import InputError
from .domain import DomainDataset
from .full_check import validation_loaders
from .prepared import Preparation, loading_of, prepared_root
from .prepared_files import PreparedFiles, Record


class Job(NamedTuple):
    """An image to prepare, with its label if that is read.

    Attributes:
        task (int): Number of its task.
        index (int): Of the image in its data set.
        numbers (tuple[int, ...]): Places of the image's record, and the label's.
        known (tuple[Record | None, ...]): Records that are there, to be checked.
    """

    task: int
    # it hides a method of tuples that is not used
    index: int  # type: ignore[assignment]
    numbers: tuple[int, ...]
    known: tuple[Record | None, ...]


class Task(NamedTuple):
    """A data set in one role, and how it is loaded.

    Attributes:
        domain (DomainDataset): With an empty pipeline.
        transforms (Compose): The loading ones.
        preparation (Preparation): Where it goes.
        labelled (bool): Whether labels are loaded.
    """

    domain: DomainDataset
    transforms: Compose
    preparation: Preparation
    labelled: bool

    def files(self, index: int) -> list[tuple[PreparedFiles, str]]:
        """The image at an index, and its label if that is loaded: where to put it, its path."""
        data_info = self.domain.get_data_info(index)
        paths = [data_info['img_path'], *([data_info['seg_map_path']] if self.labelled else [])]
        return [*zip(self.preparation.files, paths)]


def tasks_of(config: Config, root: str | Path | None) -> Iterator[Task]:
    """The data sets of a config whose pipelines begin as a preparation does."""
    train = config.train_dataloader.dataset
    found = [('source', train.source, train.source_pipeline)]
    found += [('target', target, train.target_pipeline) for target in train.get('targets') or []]
    for loader in validation_loaders(config):
        found += [('validation', each, loader.dataset.pipeline) for each in loader.dataset.domains]
    seen = []
    for role, domain_config, pipeline in found:
        pipeline = Compose(pipeline)
        loading = loading_of(pipeline)
        if loading is None or (role, domain_config, loading) in seen:
            continue
        seen.append((role, domain_config, loading))
        domain = DATASETS.build({**domain_config, 'role': role, 'pipeline': []})
        folder = prepared_root(domain.data_root) if root is None else Path(root)
        if folder is None:
            raise InputError('MLCL_PREPARED_ROOT is empty: unset it, or choose a folder by --out.')
        yield Task(
            domain,
            Compose(pipeline.transforms[: loading.steps]),
            Preparation(folder, domain.data_root, loading.size),
            loading.labelled and domain.labelled,
        )


def jobs_of(tasks: Sequence[Task], records: dict[Path, dict[str, Record]]) -> Iterator[Job]:
    """Every image once, labelled ones first; what is new gets the places behind what is there."""
    places = {
        path: 1 + max((record.number for record in known.values()), default=-1)
        for path, known in records.items()
    }
    seen = set()
    for number in sorted(range(len(tasks)), key=lambda number: not tasks[number].labelled):
        for index in range(len(tasks[number].domain)):
            files = tasks[number].files(index)
            if (files[0][0].manifest_path, files[0][1]) in seen:
                continue
            seen.add((files[0][0].manifest_path, files[0][1]))
            numbers, known = [], []
            for prepared, path in files:
                name = tasks[number].preparation.name(path)
                record = records[prepared.manifest_path].get(name)
                if record is None:
                    numbers.append(places[prepared.manifest_path])
                    places[prepared.manifest_path] += 1
                else:
                    numbers.append(record.number)
                known.append(record)
            yield Job(number, index, tuple(numbers), tuple(known))
