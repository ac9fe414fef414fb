"""A training loop that can begin anywhere in the stream."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.runner import IterBasedTrainLoop, Runner
from mmengine.runner.base_loop import BaseLoop
from mmengine.runner.utils import calc_dynamic_intervals
from mmseg.registry import LOOPS
from torch.utils.data import DataLoader

from ..errors import InputError
from ..methods.base import ALL_PARTS, DomainSegmentor, segmentor_of
from .precision import precision_of, predict_in
from .runner_access import is_resuming


@LOOPS.register_module()
class StreamTrainLoop(IterBasedTrainLoop):
    """MMEngine's loop over iterations, whose step is a function of (seed, iteration, process).

    Whenever the loader starts or is restarted, its first batch is that of the next iteration.
    Dropout and all other random numbers of a step are seeded by the iteration. A resumed run
    therefore computes the same steps as an uninterrupted one.

    With a GPU, batches are in pinned memory unless ``pin_memory`` of the loader's config is set to
    False: a copy from pageable memory makes the host wait for all pending work of the device.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict): The loader of a data set with a :class:`StreamSampler`.
        max_iters (int): Number of iterations.
        val_begin (int): The first iteration that may be validated.
        val_interval (int): Iterations between validations.

    Raises:
        InputError: If one of these numbers is less than 1, or ``val_begin`` exceeds ``max_iters``.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_iters: int,
        val_begin: int = 1,
        val_interval: int = 1000,
    ) -> None:
        numbers = dict(max_iters=max_iters, val_begin=val_begin, val_interval=val_interval)
        for name, number in numbers.items():
            if number < 1:
                raise InputError(f'train_cfg.{name} is {number}: make it 1 or more.')
        if val_begin > max_iters:
            raise InputError(
                f'train_cfg.val_begin is {val_begin}, but train_cfg.max_iters is {max_iters}: make '
                'it no larger, or nothing is ever validated.'
            )
        if isinstance(dataloader, dict):
            dataloader = {'pin_memory': torch.cuda.is_available(), **dataloader}
        # IterBasedTrainLoop's own would start the loader here, at the beginning of the stream
        BaseLoop.__init__(self, runner, dataloader)
        self._max_iters = max_iters
        self._max_epochs = 1
        self._epoch = self._iter = 0
        self.val_begin = val_begin
        self.val_interval = val_interval
        self.dynamic_milestones, self.dynamic_intervals = calc_dynamic_intervals(val_interval)
        self.stop_training = False
        self.runner.visualizer.dataset_meta = self.dataloader.dataset.metainfo
        self._batches: Iterator[Any] | None = None
        # before a hook copies the model or a checkpoint is loaded
        segmentor = segmentor_of(runner)
        if isinstance(segmentor, DomainSegmentor):
            predict_in(segmentor, precision_of(runner.cfg.get('optim_wrapper')))
            segmentor.require(ALL_PARTS if is_resuming(runner) else segmentor.starting_parts)

    def restart_loader(self) -> None:
        """Create a new iterator for the next batch, at its position in the stream."""
        self._batches = None

    def next_batch(self) -> Any:
        """Return the batch of the next iteration."""
        if self._batches is None:
            # a resumed run takes the seed of its checkpoint after the loader was built
            self.dataloader.sampler.seed = self.runner.seed
            self.dataloader.sampler.skip(self.iter * self.dataloader.batch_size)
            self._batches = iter(self.dataloader)
        return next(self._batches)

    def run(self) -> torch.nn.Module:
        """Train up to the last iteration, with validations in between."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            batch = self.next_batch()
            seed_step(self.runner.seed, self._iter)
            self.run_iter(batch)
            if self.is_validated(self._iter):
                self.runner.val_loop.run()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def is_validated(self, iteration: int) -> bool:
        """Return whether the network is validated after this number of iterations."""
        return (
            self.runner.val_loop is not None
            and iteration >= self.val_begin
            and (iteration % self.val_interval == 0 or iteration == self._max_iters)
        )


def seed_step(seed: int, iteration: int) -> None:
    """Seed the random numbers of a step in this process, such as those of dropout."""
    key = np.random.SeedSequence([seed, iteration, get_rank()])
    torch.manual_seed(int(key.generate_state(1, np.uint64)[0]) >> 1)
