"""Check of the data before a training starts."""

import time
from collections.abc import Sequence

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import nn

from ...datasets.check import check_data
from ...datasets.domain import DomainDataset
from ...datasets.multi_domain import MultiDomainDataset
from ...errors import InputError
from ...methods.base import segmentor_of
from ..runner_access import is_training


@HOOKS.register_module()
class DataCheckHook(Hook):
    """Check that the model fits the data and every data file is usable, before weights are loaded.

    Only the main process reads the headers of all images and labels.
    """

    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Check the data of a training; nothing is checked for a test.

        Raises:
            InputError: If the model has other classes or targets than the data, or
                :func:`check_data` finds an unusable file or domain.
        """
        if not is_training(runner) or not is_main_process():
            return
        train = runner.train_loop.dataloader.dataset
        validation = validation_domains(runner)
        domains = [*train.domains, *validation]
        check_classes(segmentor_of(runner), domains)
        check_targets(segmentor_of(runner), train)
        start = time.perf_counter()
        check_data(train, validation)
        seconds = time.perf_counter() - start
        num_files = sum(len(domain) * (2 if domain.labelled else 1) for domain in domains)
        runner.logger.info(f'Checked the headers of {num_files} data files in {seconds:.1f} s.')


def validation_domains(runner: Runner) -> list[DomainDataset]:
    """Return the domains on which a training is validated; other types of data sets are skipped."""
    if runner.val_loop is None:
        return []
    dataset = runner.val_loop.dataloader.dataset
    return [
        each for each in getattr(dataset, 'datasets', [dataset]) if isinstance(each, DomainDataset)
    ]


def check_classes(segmentor: nn.Module, domains: Sequence[DomainDataset]) -> None:
    """Raise InputError unless the model and all domains have the same number of classes."""
    for domain in domains:
        num_classes = len(domain.metainfo['classes'])
        if num_classes != segmentor.num_classes:
            raise InputError(
                f'model.decode_head.num_classes is {segmentor.num_classes}, but the {domain.role} '
                f'{domain.domain!r} has num_classes {num_classes}: make them equal.'
            )


def check_targets(segmentor: nn.Module, train: MultiDomainDataset) -> None:
    """Raise InputError if a model has targets that differ from the data set's in name or order."""
    expected = train.metainfo['targets']
    found = getattr(segmentor, 'targets', None)
    if found is not None and found != expected:
        raise InputError(
            f'model.targets is {found}, but train_dataloader.dataset.targets is {expected}: name '
            'the same domains in the same order.'
        )
