"""What counts as the same step on two devices."""

import pytest
import torch
from torch import nn

from mlcl_mmseg.benchmark import device_parity as module
from mlcl_mmseg.benchmark.device_parity import (
    TOLERANCES,
    comparable,
    compare,
    differing_share,
    make_comparable,
    relative_error,
    run_step,
)
from mlcl_mmseg.benchmark.training import Training, build_segmentor
from mlcl_mmseg.methods.mcl.segmentor import MCLSegmentor
from mlcl_mmseg.models.style.reinhard import lab_to_rgb

from .test_measuring import small

EXACT = TOLERANCES['fp32']


@pytest.fixture(scope='module')
def reference():
    return run_step(comparable(small('mlcl.py')), 'cpu', 'fp32')


def check(reference, precision='fp32'):
    found = run_step(comparable(small('mlcl.py')), 'cpu', precision)
    return compare(reference, found, TOLERANCES[precision])


def test_the_same_step(reference):
    found = check(reference)
    assert found['passed'] is True
    assert set(found['gradients']) == {
        *('backbone', 'decode_head', 'domain_heads', 'ensemble_head'),
    }
    assert set(found['operations']) == {'style', 'select'}


@pytest.mark.parametrize('name', ['mlcl.py', 'warmup.py', 'source_only.py'])
def test_bfloat16_differs_by_rounding(name):
    config = comparable(small(name))
    found = compare(run_step(config, 'cpu', 'fp32'), run_step(config, 'cpu', 'bf16'), EXACT)
    # more than another order of sums would change
    assert not found['passed'] and max(found['gradients'].values()) > EXACT.gradients / 10
    assert max(found['gradients'].values()) < TOLERANCES['bf16'].gradients / 2
    assert found['losses'] < TOLERANCES['bf16'].losses / 2


def test_gradients_are_those_of_the_loss(reference):
    """The change of a weight is its gradient times its multiplier, without decay and momentum."""
    config = comparable(small('source_only.py'))
    training = Training(config, build_segmentor(config, 'cpu'), 'fp32')
    make_comparable(training.segmentor)
    batch = module.random_batch(config, (64, 128), 0, module.BATCH_SIZE)
    inputs = training.segmentor.data_preprocessor(batch, True)['inputs']
    sum(training.segmentor.loss(inputs).values()).backward()
    expected = torch.cat(
        [-each.grad.flatten() for each in training.segmentor.decode_head.parameters()]
    )
    found = run_step(config, 'cpu', 'fp32').gradients['decode_head']
    assert relative_error(expected, found) < 1e-5


def wrong_sign(monkeypatch):
    step = Training.step

    def flipped(training, batch):
        before = [each.detach().clone() for each in training.segmentor.backbone.parameters()]
        figures = step(training, batch)
        with torch.no_grad():
            for each, old in zip(training.segmentor.backbone.parameters(), before):
                each.copy_(2 * old - each)
        return figures

    monkeypatch.setattr(Training, 'step', flipped)


def missing_update(monkeypatch):
    def skipped(training, batch):
        state = {k: v.clone() for k, v in training.segmentor.decode_head.state_dict().items()}
        figures = step(training, batch)
        training.segmentor.decode_head.load_state_dict(state)
        return figures

    step = Training.step
    monkeypatch.setattr(Training, 'step', skipped)


def other_selection(monkeypatch):
    select = MCLSegmentor.hard_pseudo_label

    def other(self, *args):
        label = select(self, *args)
        label[:, ::7] = 255
        return label

    monkeypatch.setattr(MCLSegmentor, 'hard_pseudo_label', other)


def not_a_number(monkeypatch):
    target_losses = MCLSegmentor.target_losses
    monkeypatch.setattr(
        MCLSegmentor,
        'target_losses',
        lambda *args: {k: v * float('nan') for k, v in target_losses(*args).items()},
    )


def other_colours(monkeypatch):
    name = 'mlcl_mmseg.models.style.reinhard.lab_to_rgb'
    monkeypatch.setattr(name, lambda lab: (lab_to_rgb(lab) + 2 / 255).clamp(0, 1))


def other_statistics(monkeypatch):
    step = Training.step

    def biased(training, batch):
        figures = step(training, batch)
        training.segmentor.backbone.layer1[0].bn1.running_var.mul_(1.1)
        return figures

    monkeypatch.setattr(Training, 'step', biased)


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
@pytest.mark.parametrize(
    'fault', [wrong_sign, missing_update, other_selection, not_a_number, other_colours]
)
def test_faults_are_found(reference, monkeypatch, precision, fault):
    fault(monkeypatch)
    assert check(reference, precision)['passed'] is False


def test_a_fault_of_statistics_is_found(reference, monkeypatch):
    other_statistics(monkeypatch)
    found = check(reference)
    assert found['statistics'] > EXACT.losses and not found['passed']


def test_steps_that_loss_scaling_skips_are_repeated(reference, monkeypatch):
    """From the same state, so that nothing but the last one counts."""
    step, calls = Training.step, []

    def skipping(training, batch):
        calls.append(batch)
        before = {k: v.clone() for k, v in training.segmentor.state_dict().items()}
        figures = step(training, batch)
        if len(calls) < 4:
            parameters = dict(training.segmentor.named_parameters())
            with torch.no_grad():
                for name, value in parameters.items():
                    value.copy_(before[name])
        return figures

    monkeypatch.setattr(Training, 'step', skipping)
    monkeypatch.setattr('mlcl_mmseg.benchmark.training.use_precision', lambda *_: None)
    found = run_step(comparable(small('mlcl.py')), 'cpu', 'fp16')
    assert len(calls) == 4
    assert compare(reference, found, EXACT)['passed']


def test_nothing_is_random_and_nothing_has_a_kink():
    class StochasticDepth(nn.Module):
        drop_prob = 0.5

    model = nn.Sequential(
        nn.ReLU(inplace=True),
        nn.Sequential(nn.Dropout2d(0.5), nn.LeakyReLU(0.2)),
        StochasticDepth(),
        nn.BatchNorm2d(3),
    ).train()
    make_comparable(model)
    assert [type(each) for each in (model[0], model[1][1])] == [nn.Softplus] * 2
    assert not model[1][0].training and not model[2].training
    # its statistics are part of a step
    assert model[3].training


def test_differing_values():
    labels = torch.arange(200)
    other = labels.clone()
    other[:5] = 0
    assert differing_share(labels, other) == pytest.approx(4 / 200)
    colours = torch.linspace(0, 1, 256)
    assert differing_share(colours, colours + 1e-5) == 0
    assert differing_share(colours, colours + 1 / 255) == 1
    assert differing_share(colours, colours * float('nan')) == 1


def test_relative_errors():
    one = torch.ones(4)
    assert relative_error(one, 1.5 * one) == pytest.approx(0.5)
    assert relative_error(0 * one, 0 * one) == 0
    assert relative_error(0 * one, one) > 1e20
    assert relative_error(one, one * float('nan')) == float('inf')
