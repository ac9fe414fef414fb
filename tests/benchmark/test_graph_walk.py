"""The backward pass in Python computes the gradients of PyTorch's engine."""

import pytest
import torch
from torch import Tensor, nn

from mlcl_mmseg.benchmark.operation_counter import OperationCounter

from ..models.conftest import build_tiny, random_batch  # noqa: F401


def gradients(model: nn.Module, loss: Tensor, backward) -> dict[str, Tensor]:
    model.zero_grad()
    backward(loss)
    return {name: each.grad for name, each in model.named_parameters() if each.grad is not None}


def assert_same(model: nn.Module, forward) -> None:
    """Compare the gradients of two equal forward passes."""
    expected = gradients(model, forward(), torch.autograd.backward)
    found = gradients(model, forward(), OperationCounter().backward)
    assert expected
    assert found.keys() == expected.keys()
    for name, each in expected.items():
        assert found[name].dtype == each.dtype
        torch.testing.assert_close(found[name], each, msg=lambda text, name=name: f'{name}: {text}')


@pytest.mark.parametrize('kind', ['MCLSegmentor', 'AdversarialWarmup', 'SourceOnly'])
def test_a_step(build_tiny, random_batch, kind):  # noqa: F811
    """Also of functions written in Python: the batch is too small for dilated convolutions."""
    model = build_tiny(kind).double().train()
    model.decode_head.window_share = 1
    batch = random_batch(0 if kind == 'SourceOnly' else 2)
    assert_same(model, lambda: model.parse_losses(model.loss(batch))[0])


def test_autocast():
    """Gradients of shared weights are added up, in the dtype of the weights."""
    torch.manual_seed(0)
    model, images = nn.Conv2d(2, 3, 3), torch.randn(2, 2, 5, 6)

    def forward():
        with torch.autocast('cpu', torch.bfloat16):
            return (model(images) + model(images.flip(3))).float().square().mean()

    assert_same(model, forward)


def test_recomputation():
    torch.manual_seed(0)
    model, rows = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), torch.randn(5, 3)
    assert_same(
        model,
        lambda: torch.utils.checkpoint.checkpoint(model, rows, use_reentrant=False).square().sum(),
    )


class Halves(torch.autograd.Function):
    """Two results, of which a loss may use one."""

    @staticmethod
    def forward(ctx, values):
        return values[::2].clone(), 3 * values[1::2]

    @staticmethod
    def backward(ctx, first, second):
        return torch.stack([first, 3 * second], dim=1).flatten()


def test_a_result_without_gradient():
    model = nn.ParameterList([torch.arange(6.0)])
    assert_same(model, lambda: Halves.apply(model[0] * 1)[1].square().sum())


def test_several_roots_and_steps():
    """Gradients of a second backward pass are added."""
    weight = torch.ones(3, requires_grad=True)
    counter = OperationCounter()
    for _ in range(2):
        results = [weight.square(), 2 * weight]
        counter.backward(results, [torch.full((3,), 10.0), torch.ones(3)])
    assert weight.grad.tolist() == [44, 44, 44]


def test_what_is_not_counted():
    with pytest.raises(NotImplementedError, match='all leaves'):
        OperationCounter().backward(torch.ones(1, requires_grad=True).sum(), create_graph=True)
