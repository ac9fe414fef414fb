"""A batch that is shared out over processes, seen as one.

Gradients are averaged over the processes. A sum over a process's share, divided by the *mean* count
of a share, therefore adds up to the sum over the whole batch divided by its count.
"""

import torch
from mmengine.dist import all_gather, all_reduce, get_world_size
from torch import Tensor


def sum_of_shares(tensor: Tensor) -> Tensor:
    """The sum over all processes, the same on each; without gradient."""
    total = tensor.detach().clone()
    all_reduce(total)
    return total


def mean_of_shares(tensor: Tensor) -> Tensor:
    """The mean over all processes, the same on each; without gradient."""
    return sum_of_shares(tensor) / get_world_size()


def gather_shares(tensor: Tensor) -> Tensor:
    """The tensors of all processes, concatenated along the first dimension; without gradient."""
    return torch.cat(all_gather(tensor.detach().contiguous()))


def mean_figures(figures: dict[str, Tensor]) -> dict[str, Tensor]:
    """Scalars to log, each as the mean over all processes, in one message.

    Args:
        figures (dict[str, Tensor]): The same names on each process.

    Returns:
        dict[str, Tensor]: As named.
    """
    if get_world_size() == 1:
        return figures
    values = mean_of_shares(torch.stack([value.detach().float() for value in figures.values()]))
    return dict(zip(figures, values))
