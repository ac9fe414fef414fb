"""Where the time of a training step goes."""

import itertools
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor

from ..methods.base import DomainSegmentor
from ..methods.mcl import segmentor as mcl
from ..models.decode_heads import DeepLabV2Head, deeplabv2_head
from .clock import synchronise


class StepParts:
    """A step that is cut between its parts, to time each of them forward and backward.

    The results of a part are cut from the graph, so that a backward pass ends there, and goes on
    part by part. The gradients are those of the whole.

    Args:
        device (str): 'cpu' or 'cuda'.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)
        # of each call, its part, results, and the leaves that took their place
        self.calls: list[tuple[str, list[Tensor], list[Tensor]]] = []

    def run(
        self, segmentor: DomainSegmentor, batch: dict, optim_wrapper: OptimWrapper
    ) -> dict[str, float]:
        """Time one step.

        Args:
            segmentor (DomainSegmentor): It is trained by the step.
            batch (dict): Of a loader.
            optim_wrapper (OptimWrapper): Of the network.

        Returns:
            dict[str, float]: Seconds of ``data``, ``style``, ``backbone``, ``heads``, ``losses``,
            ``optimiser``.
        """
        with self.timed('data'):
            inputs = segmentor.data_preprocessor(batch, True)['inputs']
        for turn in segmentor.turns:
            self.run_turn(segmentor, {**inputs, 'turn': turn}, optim_wrapper)
        with self.timed('optimiser'):
            optim_wrapper.step()
            optim_wrapper.zero_grad()
        return dict(self.seconds)

    def run_turn(
        self, segmentor: DomainSegmentor, inputs: dict, optim_wrapper: OptimWrapper
    ) -> None:
        """Time the forward and backward passes of one turn of a step, see :func:`train_step`."""
        networks = [segmentor]
        with ExitStack() as patches:
            if isinstance(segmentor, mcl.MCLSegmentor):
                self.watch(patches, segmentor.style_transfer, 'forward', 'style')
                if segmentor.teacher is not None:
                    networks.append(segmentor.teacher.network)
                    self.watch(patches, segmentor.teacher.network, 'extract_feat', 'backbone')
            passes = 'extract_passes' if hasattr(segmentor, 'extract_passes') else 'extract_feat'
            self.watch(patches, segmentor, passes, 'backbone')
            for owner in (deeplabv2_head, mcl):
                self.watch(patches, owner, 'branch_maps', 'heads')
            modules = itertools.chain(*(network.modules() for network in networks))
            for head in (each for each in modules if isinstance(each, DeepLabV2Head)):
                self.watch(patches, head, 'logits', 'heads')
            before = sum(self.seconds.values())
            with self.timed('forward'), optim_wrapper.optim_context(segmentor):
                loss, _ = segmentor.parse_losses(segmentor.loss(inputs))
        parts_before = sum(self.seconds.values()) - before - self.seconds['forward']
        self.seconds['losses'] = self.seconds.pop('forward') - parts_before
        self.backward(loss)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add what happens here to the seconds of a part."""
        synchronise(self.device)
        start = time.perf_counter()
        yield
        synchronise(self.device)
        self.seconds[part] += time.perf_counter() - start

    def watch(self, patches: ExitStack, owner: Any, name: str, part: str) -> None:
        """Time the calls of a function as that part, and cut the graph at their results."""
        original = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            with self.timed(part):
                results = original(*args, **kwargs)
            self.calls.append((part, [], []))
            return self.cut(results)

        patches.enter_context(mock.patch.object(owner, name, call))

    def cut(self, results: Any) -> Any:
        """The same values in the same containers, at which a backward pass ends."""
        if isinstance(results, list | tuple):
            return type(results)(map(self.cut, results))
        if not results.requires_grad:
            return results
        leaf = results.detach().requires_grad_()
        _, cut, leaves = self.calls[-1]
        cut.append(results)
        leaves.append(leaf)
        return leaf

    def backward(self, loss: Tensor) -> None:
        """The backward pass of a loss, the last call first."""
        with self.timed('losses'):
            loss.backward()
        while self.calls:
            part, results, leaves = self.calls.pop()
            reached = [pair for pair in zip(results, leaves) if pair[1].grad is not None]
            if reached:
                with self.timed(part):
                    tensors, gradients = zip(*((result, leaf.grad) for result, leaf in reached))
                    torch.autograd.backward(tensors, gradients)
