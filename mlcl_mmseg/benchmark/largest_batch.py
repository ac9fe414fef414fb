"""The largest batch that fits into the memory of a GPU."""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from mmengine.config import Config

from ..engine.rehearsal import free_memory
from .clock import Budget, synchronise
from .training import Training, batches_of, build_segmentor, has_option

# options of a model that save memory and change no gradient, in the order in which to add them
SAVING = dict(backward='per_target', recompute_activations=True)
# what errors say when memory is not sufficient, if they have no class of their own
OUT_OF_MEMORY = ('out of memory', 'ALLOC_FAILED')
# no larger batch is tried
MOST = 256


class Found(NamedTuple):
    """The result of a search.

    Attributes:
        largest (int): The largest size that fits, 0 if none does.
        too_large (int, optional): The smallest size that does not fit; None if none was found.
    """

    largest: int
    too_large: int | None


def largest_that_fits(
    fits: Callable[[int], bool], start: int, budget: Budget, most: int = MOST
) -> Found:
    """Search a size by doubling, then by halving the interval, to within an eighth.

    Args:
        fits (Callable): Whether a size fits. It is called for growing sizes first.
        start (int): The first size to try, 1 or more.
        budget (Budget): No size but the first is tried after it.
        most (int): The largest size to try.

    Returns:
        Found: The result. If the budget was too small, a larger size may fit.
    """
    largest, too_large, size = 0, None, min(start, most)
    while True:
        if fits(size):
            largest = size
        else:
            too_large = size
        if too_large is None:
            size = min(2 * largest, most)
        elif too_large - largest <= max(1, largest // 8):
            break
        else:
            size = (largest + too_large) // 2
        if size == largest or budget.left() <= 0:
            break
    return Found(largest, too_large)


class StepFits:
    """Whether the steps of a training fit into memory, by batch size.

    Args:
        config (Config): The config.
        device (str): 'cpu' or 'cuda'.
        precision (str): The precision of the steps.
    """

    def __init__(self, config: Config, device: str, precision: str) -> None:
        self.config = config
        self.device = device
        self.training = Training(config, build_segmentor(config, device), precision)

    def __call__(self, size: int) -> bool:
        """Take two steps, as the optimiser has its full state only in the second one."""
        fits = True
        try:
            batches = batches_of(self.config, self.device, size, number=1)
            for _ in range(2):
                self.training.step(next(batches))
            synchronise(self.device)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            fits = False
        # not before the error is gone, whose traceback holds the tensors of the step
        self.training.applied.clear()
        self.training.segmentor.zero_grad()
        free_memory()
        return fits


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error means that the memory of the GPU is not sufficient."""
    is_torch = isinstance(error, torch.cuda.OutOfMemoryError)
    return is_torch or any(text in str(error) for text in OUT_OF_MEMORY)


def with_less_memory(config: Config) -> list[tuple[str, Config]]:
    """A config, and copies that save more and more memory by the options that its model has.

    Returns:
        list[tuple[str, Config]]: For each config the options as on the command line, '' for the
        config itself.
    """
    variants = [('', config)]
    for name, value in SAVING.items():
        # a compiled backbone decides itself what to recompute
        is_taken = name == 'recompute_activations' and config.model.get('compile_backbone')
        if has_option(config, name) and config.model.get(name) != value and not is_taken:
            options, last = variants[-1]
            changed = copy.deepcopy(last)
            changed.model[name] = value
            variants.append((f'{options} model.{name}={value}'.strip(), changed))
    return variants


def largest_batches(
    config: Config, device: str, precision: str, budget: Budget
) -> list[dict[str, Any]]:
    """Search the largest batch of a config, and with each option that saves memory.

    cuDNN does not search for its fastest algorithms, which would take most of the time.

    Args:
        config (Config): The config.
        device (str): 'cpu' or 'cuda'.
        precision (str): The precision of the steps.
        budget (Budget): The time for all searches.

    Returns:
        list[dict[str, Any]]: For each search ``options``, and the fields of :class:`Found`.
    """
    torch.backends.cudnn.benchmark = False
    variants = with_less_memory(config)
    results = []
    for number, (options, variant) in enumerate(variants):
        share = budget.share(1 / (len(variants) - number))
        fits = StepFits(variant, device, precision)
        found = largest_that_fits(fits, variant.train_dataloader.batch_size, share)
        results.append(dict(options=options, **found._asdict()))
        del fits
        free_memory()
    return results
