"""Count what a training step asks of a GPU: operations, bytes, waits and float64."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.autograd import _get_sequence_nr  # type: ignore[attr-defined]
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from .graph_walk import walk_backwards
from .step_parts import PARTS

aten = torch.ops.aten
ENTER, EXIT = 'profiler::_record_function_enter_new', 'profiler::_record_function_exit'
# part of everything that no range names, as in step_parts
REST = 'losses'
# tensors without values call these where others call nothing
UNCOUNTED = (torch.ops.prim.device.default, aten.detach.default)
# in-place operations that FakeTensorMode does not know
WITHOUT_FAKE = (aten._fused_sgd_.default, aten._amp_update_scale_.default)
COPIES = (aten._to_copy.default, aten.copy_.default)
# they return memory as it is
ALLOCATING = ('empty', 'empty_strided', 'empty_like', 'new_empty', 'new_empty_strided')
# operations that do not read their first argument, besides new_... and ..._like
OVERWRITING = ('copy_', 'fill_', 'zero_', 'bernoulli_', 'uniform_')


class Operation(NamedTuple):
    """An ATen operation on a GPU.

    Attributes:
        name (str): Its name, such as 'convolution'.
        part (str): The part of the step, one of :data:`~.step_parts.PARTS`.
        bytes (int): Bytes of its inputs and results, each counted once; 0 for views.
        flops (int): Floating-point operations of convolutions and matrix products, else 0.
        dtype (torch.dtype | None): The dtype of the factors of these products.
    """

    name: str
    part: str
    bytes: int
    flops: int = 0
    dtype: torch.dtype | None = None


class OperationCounter(TorchDispatchMode):
    """Record the operations on fake GPU tensors.

    Where the host reads a value, it gets True for a boolean and else 0. FakeTensorMode refuses
    operations for which the host would have to wait because the size of their result depends on
    values, such as ``nonzero``, and operations with tensors of several devices.

    Attributes:
        operations (list[Operation]): The operations in the order of their execution.
        waits (Counter[str]): How often the host reads a value from the device, by operation.
        copies (Counter[str]): How often it copies a tensor between host and device and blocks.
        host_scalars (Counter[str]): How often an operation on the device has an argument that is a
            scalar tensor on the host; no copy is needed.
        float64 (Counter[str]): Operations on the device with an input or a result in float64.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []
        self.waits: Counter[str] = Counter()
        self.copies: Counter[str] = Counter()
        self.host_scalars: Counter[str] = Counter()
        self.float64: Counter[str] = Counter()
        self.ranges: list[str] = []
        self.part = REST
        # from each sequence number of autograd on, the part whose forward pass creates the nodes
        self.first_numbers, self.parts = [0], [REST]

    def __torch_dispatch__(
        self, func: OpOverload, types: Sequence, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Run an operation and record it."""
        kwargs = kwargs or {}
        if func in UNCOUNTED:
            return func(*args, **kwargs)
        if func.namespace == 'profiler':
            self.enter_or_leave(func, args)
            return func(*args, **kwargs)
        if func is aten._local_scalar_dense.default and is_on_device(args[0]):
            self.waits['item'] += 1
            return args[0].dtype is torch.bool or 0
        inputs = tensors_of((args, kwargs))
        result = args[0] if func in WITHOUT_FAKE else func(*args, **kwargs)
        results = [] if func is aten._fused_sgd_.default else tensors_of(result)
        on_device = [each for each in (*inputs, *results) if is_on_device(each)]
        if on_device:
            on_host = [each for each in (*inputs, *results) if not is_on_device(each)]
            self.record_host(func, args, kwargs, on_host)
            if any(each.dtype is torch.float64 for each in on_device):
                self.float64[func._opname] += 1
            count = flop_registry.get(func._overloadpacket)
            flops = 0 if count is None else count(*args, **kwargs, out_val=result)
            moved = moved_bytes(func, args, inputs, results)
            dtype = inputs[0].dtype if flops else None
            self.operations.append(Operation(func._opname, self.part, moved, flops, dtype))
        return None if func is aten._fused_sgd_.default else result

    def record_host(
        self, func: OpOverload, args: tuple, kwargs: dict, on_host: Sequence[Tensor]
    ) -> None:
        """Record what an operation on the device asks of the host, and its tensors there."""
        name = func._opname
        if fills_by_mask(func, args):
            self.waits[name] += 1
        if func in COPIES and on_host:
            if not kwargs.get('non_blocking', len(args) > 2 and args[2]):
                self.copies[name] += 1
        elif any(each.dim() for each in on_host):
            self.copies[name] += 1
        elif on_host:
            self.host_scalars[name] += 1

    def enter_or_leave(self, func: OpOverload, args: tuple) -> None:
        """Follow a range of ``record_function`` that begins or ends."""
        if func.name().startswith(ENTER):
            self.ranges.append(args[0])
        elif func.name().startswith(EXIT):
            self.ranges.pop()
        self.part = next((each for each in reversed(self.ranges) if each in PARTS), REST)
        self.first_numbers.append(_get_sequence_nr())
        self.parts.append(self.part)

    @contextmanager
    def backward_of(self, node: Any) -> Iterator[None]:
        """Count operations for the part in which the forward pass of a node ran."""
        before = self.part
        # the sequence number of a leaf is the largest there is
        if not hasattr(node, 'variable'):
            place = bisect_right(self.first_numbers, node._sequence_nr())
            self.part = self.parts[place - 1]
        yield
        self.part = before

    def backward(
        self,
        tensors: Tensor | Sequence[Tensor],
        grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: None = None,
    ) -> None:
        """Stand in for ``torch.autograd.backward``."""
        if create_graph or inputs is not None:
            raise NotImplementedError('Only a backward pass to all leaves can be counted.')
        roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
        given = [grad_tensors] if not isinstance(grad_tensors, Sequence) else list(grad_tensors)
        gradients = [
            torch.ones_like(root) if gradient is None else gradient
            for root, gradient in zip(roots, given * len(roots) if len(given) == 1 else given)
        ]
        walk_backwards(roots, gradients, self.backward_of)


def tensors_of(values: Any) -> list[Tensor]:
    """All tensors in nested lists, tuples and dicts."""
    return [each for each in tree_leaves(values) if isinstance(each, Tensor)]


def fills_by_mask(func: OpOverload, args: tuple) -> bool:
    """Whether an operation writes several values at the places of a bool mask, which it counts."""
    if func._opname not in ('index_put', 'index_put_', '_index_put_impl_'):
        return False
    has_mask = any(each is not None and each.dtype is torch.bool for each in args[1])
    return has_mask and args[2].numel() > 1


def moved_bytes(
    func: OpOverload, args: tuple, inputs: Sequence[Tensor], results: Sequence[Tensor]
) -> int:
    """Bytes of an operation's inputs and results on the device, 0 if it only makes a view."""
    name = func._opname
    if func.is_view or name in (*ALLOCATING, '_unsafe_view'):
        return 0
    skips = name in OVERWRITING or name.startswith('new_') or name.endswith('_like')
    read = inputs[1:] if skips else inputs
    # operations on many tensors change them and return nothing
    written = results or [
        tensor
        for argument, value in zip(func._schema.arguments, args)
        if argument.alias_info is not None and argument.alias_info.is_write
        for tensor in tensors_of(value)
    ]
    return sum(stored_bytes(each) for each in (*read, *written) if is_on_device(each))


def is_on_device(tensor: Tensor) -> bool:
    """Whether a tensor is on a GPU; of a fake tensor, ``is_cuda`` takes much longer to find."""
    return tensor.device.type == 'cuda'


def stored_bytes(tensor: Tensor) -> int:
    """Bytes of a tensor's elements; those of an expanded dimension are stored once."""
    elements = tensor.element_size()
    for size, stride in zip(tensor.shape, tensor.stride()):
        elements *= size if stride else min(size, 1)
    return elements
