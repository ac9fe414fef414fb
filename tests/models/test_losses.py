"""Every loss of both stages against a slow, obvious implementation in float64."""

import pytest
import torch
import torch.nn.functional as F

from ..mcl_losses import source_losses, target_losses
from . import slow

CLOSE = dict(rel=1e-9, abs=1e-12)


def resized(logits, size):
    return torch.from_numpy(slow.resize(logits.detach().numpy(), *size))


@pytest.mark.parametrize('num_targets', [1, 2, 3])
@pytest.mark.parametrize('cross_sample_mask', [True, False])
def test_mcl_step(build_tiny, random_batch, num_targets, cross_sample_mask):
    model = build_tiny('MCLSegmentor', num_targets, cross_sample_mask=cross_sample_mask)
    model = model.double().eval()
    batch = random_batch(num_targets)
    source, targets = batch['source'], batch['targets']
    grid = 4, 6

    def features(image):
        return model.extract_feat(image)

    def ensemble(maps):
        return model.ensemble_head([torch.cat([each[0] for each in maps], 1)])

    styled = [features(model.style_transfer(source['img'], each['img'])) for each in targets]
    logits = [head(each) for head, each in zip(model.domain_heads, styled)]
    logits += [model.decode_head(features(source['img'])), ensemble(styled)]
    expected = [slow.source_loss(resized(each, (16, 24)), source['label']) for each in logits]
    found = [each.item() for each in source_losses(model, batch)]
    assert found == pytest.approx(expected, **CLOSE)

    total = sum(expected)
    for i, target in enumerate(targets):
        soft = slow.resize(target['soft_pseudo_label'].numpy(), *grid)
        label = slow.warp(slow.select(soft), target['strong_affine'], target['strong_cutout'])
        strong = target['strong_img']
        others = [j for j in range(num_targets) if j != i]
        own_map = features(strong)
        other_maps = [
            features(model.style_transfer(strong, targets[j]['strong_img'])) for j in others
        ]
        own = resized(model.domain_heads[i](own_map), grid)
        agnostic = resized(model.decode_head(own_map), grid)
        other = [resized(model.domain_heads[j](each), grid) for j, each in zip(others, other_maps)]
        joint = resized(ensemble([own_map, *other_maps]), grid)
        weight = slow.agreement(own, other)

        def self_training(logits, label=label, weight=weight):
            return slow.self_training(logits, label, weight, cross_sample_mask)

        expected = dict(
            loss_individual=self_training(own),
            loss_ensemble=0.05 * self_training(joint),
            loss_distillation=(slow.distillation(agnostic, own) + slow.distillation(own, joint))
            / num_targets,
            kept_pixels=(label != slow.IGNORE).mean(),
            agreement=weight.mean(),
        )
        if others:
            expected['loss_collaborative'] = sum(map(self_training, other)) / len(others)
        found = {name: value.item() for name, value in target_losses(model, i, targets).items()}
        assert 0 < found['kept_pixels'] < 1
        kept = found.pop('kept_pixels')
        assert kept == pytest.approx(expected.pop('kept_pixels'), rel=1e-6)
        assert found == pytest.approx(expected, **CLOSE)
        total += sum(value for name, value in expected.items() if name.startswith('loss_'))

    loss, _ = model.parse_losses(model.loss(batch))
    assert loss.item() == pytest.approx(total, **CLOSE)


@pytest.mark.parametrize('num_targets', [1, 2, 3])
@pytest.mark.parametrize(('gan', 'weight'), [('vanilla', 0.001), ('LS', 0.01)])
def test_warmup_step(build_tiny, random_batch, num_targets, gan, weight):
    model = build_tiny('AdversarialWarmup', num_targets, gan=gan).double().eval()
    batch = random_batch(num_targets)
    source, targets = batch['source'], batch['targets']
    size = 16, 24
    losses = {name: value.item() for name, value in model.loss(batch).items()}

    expected, source_maps, target_maps = {}, [], []
    for i, head in enumerate(model.domain_heads):
        logits = resized(head(model.extract_feat(source['img'])), size)
        expected[f'warmup/loss_source/t{i}'] = slow.source_loss(logits, source['label'])
        source_maps.append(slow.self_information(logits))
        logits = resized(head(model.extract_feat(targets[i]['img'])), size)
        target_maps.append(slow.self_information(logits))
        said = model.discriminators[i](torch.from_numpy(target_maps[-1]))
        expected[f'warmup/loss_adversarial/t{i}'] = weight * slow.gan(said, 0, gan)
    assert losses == pytest.approx(expected, **CLOSE)
    for found, each in zip(model.self_information_maps, (source_maps, target_maps)):
        for ours, theirs in zip(found, each):
            assert not ours.requires_grad
            torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=1e-9, atol=1e-12)


def test_source_only(build_tiny, random_batch):
    model = build_tiny('SourceOnly').double().eval()
    source = random_batch(0)['source']
    logits = resized(model.decode_head(model.extract_feat(source['img'])), (16, 24))
    loss = model.loss(dict(source=source, targets=[]))['source_only/loss_source']
    assert loss.item() == pytest.approx(slow.source_loss(logits, source['label']), **CLOSE)


@pytest.mark.parametrize('cross_sample_mask', [True, False])
def test_a_target_that_keeps_nothing_contributes_zero(build_tiny, random_batch, cross_sample_mask):
    model = build_tiny('MCLSegmentor', cross_sample_mask=cross_sample_mask).double()
    targets = random_batch()['targets']
    targets[0]['strong_cutout'] = torch.tensor([[0, 0, 24, 16]] * 2)
    terms = target_losses(model, 0, targets)
    for name in ('loss_individual', 'loss_collaborative', 'loss_ensemble', 'kept_pixels'):
        assert terms[name].item() == 0
    assert terms['loss_distillation'].item() > 0


def test_source_without_a_labelled_pixel_contributes_zero(build_tiny, random_batch):
    model = build_tiny('MCLSegmentor').double()
    batch = random_batch()
    batch['source']['label'][:] = 255
    losses = source_losses(model, batch)
    assert [loss.item() for loss in losses] == [0] * 4


def test_gradients_reach_what_they_should(build_tiny, random_batch):
    """Distillation teaches the agnostic head and the own head, but not the ensemble behind it."""
    model = build_tiny('MCLSegmentor', num_targets=2).double()
    heads = dict(
        own=model.domain_heads[0],
        other=model.domain_heads[1],
        agnostic=model.decode_head,
        ensemble=model.ensemble_head,
    )
    taught = dict(
        loss_individual={'own'},
        loss_collaborative={'other'},
        loss_ensemble={'ensemble'},
        loss_distillation={'own', 'agnostic'},
    )
    targets = random_batch(2)['targets']
    for name, expected in taught.items():
        model.zero_grad()
        target_losses(model, 0, targets)[name].backward()
        found = {
            head
            for head, module in heads.items()
            if any(each.grad is not None and each.grad.any() for each in module.parameters())
        }
        assert found == expected, name
        assert any(each.grad.any() for each in model.backbone.parameters())


def test_order_of_the_ensemble_input(build_tiny, random_batch):
    """Q5: target 1 sees [own, other]; with own_features_first=False it sees [other, own]."""
    batch = random_batch()
    terms = {}
    for own_first in (True, False):
        model = build_tiny('MCLSegmentor', own_features_first=own_first).double().eval()
        terms[own_first] = [target_losses(model, i, batch['targets']) for i in range(2)]
    first, second = (
        [terms[own_first][i]['loss_ensemble'].item() for own_first in (True, False)]
        for i in range(2)
    )
    assert first[0] == first[1]
    assert second[0] != second[1]


def test_losses_are_full_precision_under_autocast(build_tiny, random_batch):
    model = build_tiny('MCLSegmentor')
    batch = random_batch()
    half = lambda domain: {  # noqa: E731
        key: value.float() if value.dtype == torch.float64 else value
        for key, value in domain.items()
    }
    batch = dict(source=half(batch['source']), targets=[half(each) for each in batch['targets']])
    with torch.autocast('cpu', torch.bfloat16):
        losses = model.loss(batch)
    assert {value.dtype for value in losses.values()} == {torch.float32}
    reference = model.loss(batch)
    for name in losses:
        assert losses[name].item() == pytest.approx(reference[name].item(), rel=0.03, abs=1e-3)


def test_resize_of_the_slow_implementation_is_the_contracts():
    image = torch.rand(1, 2, 3, 4, dtype=torch.float64)
    fast = F.interpolate(image, size=(7, 9), mode='bilinear', align_corners=True)
    torch.testing.assert_close(torch.from_numpy(slow.resize(image.numpy(), 7, 9)), fast)
