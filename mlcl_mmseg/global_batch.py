"""Operations on a batch that is distributed over processes.

Gradients are averaged over the processes. If the sum over each process's share is divided by the
*mean* count of a share, the average is the sum over the whole batch divided by its count.
"""

import torch
from mmengine.dist import all_gather, all_reduce, get_world_size
from torch import Tensor


def sum_of_shares(tensor: Tensor) -> Tensor:
    """Return the sum over all processes, which is the same on each; without gradient."""
    total = tensor.detach().clone()
    all_reduce(total)
    return total


def mean_of_shares(tensor: Tensor) -> Tensor:
    """Return the mean over all processes, which is the same on each; without gradient."""
    return sum_of_shares(tensor) / get_world_size()


def gather_shares(tensor: Tensor) -> Tensor:
    """Concatenate the tensors of all processes along the first dimension; without gradient."""
    return torch.cat(all_gather(tensor.detach().contiguous()))


def mean_figures(figures: dict[str, Tensor]) -> dict[str, Tensor]:
    """Average scalars to log over all processes, with a single communication.

    Args:
        figures (dict[str, Tensor]): Scalars with the same names on each process.

    Returns:
        dict[str, Tensor]: The means, with the same names.
    """
    if get_world_size() == 1:
        return figures
    values = mean_of_shares(torch.stack([value.detach().float() for value in figures.values()]))
    return dict(zip(figures, values))
