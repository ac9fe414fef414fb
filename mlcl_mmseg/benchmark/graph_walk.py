"""A backward pass in Python, for tensors without values.

PyTorch's engine asks the driver for streams if a tensor is on a GPU, also if the tensor has no
values. Calling the nodes of the graph from Python needs no driver, and shows which node each
operation of the backward pass belongs to.
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction


def walk_backwards(
    roots: Sequence[Tensor],
    gradients: Sequence[Tensor],
    inside: Callable[[Any], AbstractContextManager],
) -> None:
    """Run a backward pass and accumulate gradients in the leaves, as ``torch.autograd.backward``.

    Hooks of tensors and nodes are not called, and the graph is not freed. Functions written in
    Python must take their tensors before other arguments.

    Args:
        roots (Sequence[Tensor]): Results of a forward pass.
        gradients (Sequence[Tensor]): Their gradients, of the same shapes.
        inside (Callable): Its result for a node is entered while the node computes.
    """
    received: dict[Any, dict[int, Tensor]] = {}
    for root, gradient in zip(roots, gradients):
        add_gradient(received, root.grad_fn, root.output_nr, gradient)
    missing = count_gradients(received)
    numbers = itertools.count()
    # as in PyTorch's engine, later operations first
    ready = [(-node._sequence_nr(), next(numbers), node) for node in received if not missing[node]]
    heapq.heapify(ready)
    with torch.no_grad():
        while ready:
            *_, node = heapq.heappop(ready)
            with inside(node):
                results = compute(node, received.pop(node, {}))
                for (consumer, index), result in zip(node.next_functions, results):
                    if consumer is not None and result is not None:
                        add_gradient(received, consumer, index, result)
            for consumer, _ in node.next_functions:
                missing[consumer] -= 1
                if consumer is not None and not missing[consumer]:
                    heapq.heappush(ready, (-consumer._sequence_nr(), next(numbers), consumer))


def count_gradients(roots: Sequence[Any] | dict) -> Counter:
    """Count for each node how many gradients other nodes compute for it."""
    counts: Counter = Counter()
    found, waiting = set(roots), list(roots)
    while waiting:
        for consumer, _ in waiting.pop().next_functions:
            counts[consumer] += 1
            if consumer is not None and consumer not in found:
                found.add(consumer)
                waiting.append(consumer)
    return counts


def add_gradient(received: dict, node: Any, index: int, gradient: Tensor) -> None:
    """Add a gradient to those of a node's result, in its shape and dtype as the engine does."""
    expected = node._input_metadata[index]
    if list(gradient.shape) != list(expected.shape):
        gradient = gradient.sum_to_size(expected.shape)
    if gradient.dtype != expected.dtype:
        gradient = gradient.to(expected.dtype)
    gradients = received.setdefault(node, {})
    gradients[index] = gradients[index] + gradient if index in gradients else gradient


def compute(node: Any, gradients: dict[int, Tensor]) -> Sequence[Tensor | None]:
    """Compute the gradients of a node's inputs from those of its results, None if there are none.

    The gradient of a leaf is stored in the leaf. The engine would copy it first if its memory
    format was not the leaf's.
    """
    if not gradients:
        return [None] * len(node.next_functions)
    if hasattr(node, 'variable'):
        leaf, gradient = node.variable, gradients[0]
        if leaf.grad is None:
            leaf.grad = gradient
        else:
            leaf.grad += gradient
        return []
    expected = node._input_metadata
    values = [gradients.get(index) for index in range(len(expected))]
    if isinstance(node, BackwardCFunction):
        results = node.apply(*map(or_zeros, values, expected))
    else:
        results = node(*values)
    results = results if isinstance(results, tuple) else (results,)
    # a node knows only the tensors among the arguments of a function written in Python
    if any(each is not None for each in results[len(node.next_functions) :]):
        raise ValueError(f'{node.name()} has other arguments before tensors: put them last.')
    return results


def or_zeros(gradient: Tensor | None, expected: Any) -> Tensor:
    """Return a gradient, or zeros, which a function written in Python gets where there is none."""
    if gradient is not None:
        return gradient
    return torch.zeros(expected.shape, dtype=expected.dtype, device=expected.device)
