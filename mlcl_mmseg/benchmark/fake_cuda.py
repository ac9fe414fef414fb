"""Count the operations of a training step on a GPU that need not be there.

The tensors are those of PyTorch's ``FakeTensorMode``: they have shape, dtype and device but no
values. The step is the project's own, with the functions that PyTorch uses on GPUs, such as fused
optimisers and autocast.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest import mock

import mmengine.runner.amp
import torch
from mmengine.config import Config
from torch import Tensor
from torch._subclasses import fake_tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils import _foreach_utils
from torch.utils._pytree import tree_map_only

from ..models.train_step import AsyncBool
from .inputs import random_batch, sizes_of
from .operation_counter import OperationCounter
from .training import Training, build_segmentor


@contextmanager
def fake_cuda() -> Iterator[FakeTensorMode]:
    """Make tensors without values, on the device 'cuda' as if there was one.

    Reading an :class:`AsyncBool` reads its value from the device.
    """
    types = [*_foreach_utils._foreach_supported_types, FakeTensor]
    with ExitStack() as stack:

        def replace(owner: Any, name: str, value: Any) -> None:
            stack.enter_context(mock.patch.object(owner, name, value))

        replace(torch.cuda, 'is_available', lambda: True)
        replace(torch.cuda, 'is_bf16_supported', lambda: True)
        replace(torch.cuda, 'is_current_stream_capturing', lambda: False)
        # MMEngine looks for a GPU when it is imported
        replace(mmengine.runner.amp, 'get_device', lambda: 'cuda')
        replace(FakeTensorMode, 'avoid_device_init', True)
        replace(fake_tensor, 'init_gpu_context', lambda device: None)
        # PyTorch takes the functions for many tensors only if it knows their type
        replace(_foreach_utils, '_foreach_supported_types', types)
        # its pinned memory and its events need a driver
        replace(AsyncBool, '__init__', lambda self, value: setattr(self, 'on_device', value))
        replace(AsyncBool, '__bool__', lambda self: bool(self.on_device))
        yield stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))


class CountedStep(NamedTuple):
    """A training step.

    Attributes:
        counter (OperationCounter): Its counts.
        gradient_bytes (int): Bytes of the network's gradients.
    """

    counter: OperationCounter
    gradient_bytes: int


def count_step(config: Config, precision: str) -> CountedStep:
    """Count the second training step of a config, after a first one has filled the optimiser.

    Modules with an optimiser of their own are trained by the hooks of the config, whose operations
    are counted as well.

    Args:
        config (Config): A config; it is not changed.
        precision (str): One of :data:`~mlcl_mmseg.engine.precision.PRECISIONS`.

    Returns:
        CountedStep: The counts of the second step.
    """
    # built before: its initialisation needs values
    segmentor = build_segmentor(config, 'cpu')
    batch = random_batch(config, sizes_of(config)[1])
    with fake_cuda() as fake:
        training = Training(config, segmentor.to('cuda'), precision)
        batch = tree_map_only(Tensor, fake.from_tensor, batch)
        for _ in range(2):
            counter = OperationCounter()
            with counter, mock.patch.object(torch.autograd, 'backward', counter.backward):
                training.step(batch)
    trained = [each for each in segmentor.parameters() if each.requires_grad]
    return CountedStep(counter, sum(each.numel() * each.element_size() for each in trained))
