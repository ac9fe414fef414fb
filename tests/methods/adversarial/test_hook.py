"""The discriminators' update alone, without a run."""

from types import SimpleNamespace

import pytest
import torch
import torch.distributed
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from torch.nn.parallel import DistributedDataParallel

from mlcl_mmseg.methods.adversarial import DiscriminatorHook
from mlcl_mmseg.methods.adversarial.hook import accuracy
from mlcl_mmseg.models.train_step import AsyncBool

LOSSES = dict(vanilla=F.binary_cross_entropy_with_logits, LS=F.mse_loss)


@pytest.fixture
def runner_of(build_tiny):
    """A model with stored maps and the optimiser of its discriminators, as the hook sees them."""

    def make(gan='vanilla'):
        model = build_tiny('AdversarialWarmup', gan=gan)
        model.self_information_maps = tuple(
            [torch.rand(1, 3, 16, 24) for _ in model.targets] for _ in range(2)
        )
        optimiser = torch.optim.SGD(model.discriminators.parameters(), lr=0.5)
        return SimpleNamespace(
            model=model, optim_wrapper=dict(discriminators=OptimWrapper(optimiser))
        )

    return make


def update(runner):
    hook, outputs = DiscriminatorHook(), {}
    hook.before_train(runner)
    hook.after_train_iter(runner, 0, {}, outputs)
    return outputs


def weights(model):
    return [each.detach().clone() for each in model.discriminators.parameters()]


@pytest.mark.parametrize('gan', LOSSES)
def test_one_step_against_the_gradient(runner_of, gan):
    runner = runner_of(gan)
    model = runner.model
    before, expected = weights(model), {}
    for discriminator in model.discriminators.requires_grad_(True):
        discriminator.zero_grad()
    total = 0
    for domain, discriminator, *maps in zip(
        model.targets, model.discriminators, *model.self_information_maps
    ):
        source, target = map(discriminator, maps)
        loss = LOSSES[gan](source, torch.zeros_like(source))
        loss = loss + LOSSES[gan](target, torch.ones_like(target))
        expected[f'warmup/loss_discriminator/{domain}'] = loss.item()
        middle = dict(vanilla=0, LS=0.5)[gan]
        right = torch.stack([source < middle, target >= middle])
        expected[f'warmup/discriminator_accuracy/{domain}'] = right.float().mean().item()
        total = total + loss
    gradients = torch.autograd.grad(total, [*model.discriminators.parameters()])
    model.discriminators.requires_grad_(False)

    outputs = update(runner)
    assert {name: value.item() for name, value in outputs.items()} == pytest.approx(expected)
    for old, new, gradient in zip(before, weights(model), gradients):
        torch.testing.assert_close(new, old - 0.5 * gradient)
    assert not any(each.requires_grad for each in model.discriminators.parameters())
    assert model.self_information_maps is None


@pytest.mark.parametrize('broken', ['network', 'discriminator', 'gradient'])
def test_they_skip_a_step_that_is_not_finite(runner_of, broken):
    runner = runner_of()
    before = weights(runner.model)
    if broken == 'network':
        runner.model.step_is_finite = AsyncBool(torch.tensor(False))
    elif broken == 'gradient':
        parameter = next(runner.model.discriminators.parameters())
        parameter.requires_grad_(True).register_hook(lambda gradient: gradient * torch.inf)
    else:
        runner.model.self_information_maps[1][0][:] = torch.nan
    update(runner)
    for old, new in zip(before, weights(runner.model)):
        assert torch.equal(old, new)


def test_they_are_wrapped_and_frozen_if_distributed(runner_of, tmp_path):
    runner = runner_of()
    rendezvous = f'file://{tmp_path}/rendezvous'
    torch.distributed.init_process_group('gloo', rendezvous, rank=0, world_size=1)
    try:
        hook = DiscriminatorHook()
        hook.before_train(runner)
        assert isinstance(hook.bank, DistributedDataParallel)
        assert not any(each.requires_grad for each in hook.bank.parameters())
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    ('gan', 'source', 'target', 'expected'),
    [
        ('vanilla', [-0.1, 0.0, 0.6, 0.7], [0.7], 2 / 5),
        ('vanilla', [-0.1], [-0.1, 0.0, 0.6, 0.7], 4 / 5),
        ('LS', [-0.1, 0.1, 0.5, 0.7], [0.2], 2 / 5),
        ('LS', [0.4], [0.1, 0.5, 0.7, 0.2], 3 / 5),
    ],
)
def test_accuracy_by_hand(gan, source, target, expected):
    """A logit at the decision boundary means target."""
    found = accuracy(torch.tensor(source), torch.tensor(target), gan)
    assert found.item() == pytest.approx(expected)
