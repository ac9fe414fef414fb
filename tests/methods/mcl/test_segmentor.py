"""Options, parts of the loss and pictures of the segmentor; test_losses.py has the values."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import build_optim_wrapper

from mlcl_mmseg.errors import InputError
from mlcl_mmseg.methods.mcl import losses, selection
from mlcl_mmseg.models.style import StyleTransfer
from mlcl_mmseg.visualization.columns import Classes, Images, Shares

from ...mcl_losses import source_losses, target_losses


def coarse(model):
    """With features on a grid that is coarser than that of the labels."""
    model.backbone.conv = torch.nn.Conv2d(3, 32, 8, stride=8)
    return model.double().eval()


def test_default_settings(build_tiny):
    model = build_tiny('MCLSegmentor')
    assert (model.gamma, model.selection_quantile, model.entropy_floor) == (1.0, 0.5, 0.25)
    assert model.ensemble_weight == 0.05
    assert model.cross_sample_mask and model.own_features_first and model.global_batch
    assert [*model.turns] == ['the source', 't0', 't1']


def test_unknown_backward(build_tiny):
    with pytest.raises(InputError, match="model.backward is 'all': set it to auto, together"):
        build_tiny('MCLSegmentor', backward='all')


class Swap(StyleTransfer):
    """The simplest transfer: the style itself."""

    def forward(self, content, style):
        return style


def test_a_style_transfer_of_your_own(build_tiny, random_batch):
    """It needs only forward; one call for all pairs."""
    model, batch = build_tiny('MCLSegmentor').double(), random_batch()
    model.style_transfer = Swap()
    *styled, source = model.images_of([model.source_part(batch['source'], batch['targets'])])
    assert source is batch['source']['img']
    for found, target in zip(styled, batch['targets']):
        assert torch.equal(found, target['img'])
    with pytest.raises(InputError, match='style_transfer is ReLU: derive it from mlcl_mmseg'):
        build_tiny('MCLSegmentor', style_transfer=dict(type='ReLU'))


def test_the_turns_add_up_to_the_whole_loss(build_tiny, random_batch):
    model = build_tiny('MCLSegmentor', backward='per_target').double().eval()
    assert [*model.turns] == ['the source', 't0', 't1']
    batch, total = random_batch(), {}
    whole = model.loss(batch)
    parts = [model.loss(dict(batch, turn=turn)) for turn in model.turns]
    assert [*parts[0]] == ['mcl/loss_source']
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + value
    assert {*total} == {*whole}
    for name, value in whole.items():
        torch.testing.assert_close(total[name], value)


class Prepared(torch.nn.Module):
    """In place of a data_preprocessor, for batches that are prepared already."""

    def forward(self, data, training):
        return dict(inputs=data)


def test_a_step_with_one_image_of_each_domain(build_tiny, random_batch):
    """Q10: thresholds are those of its pixels."""
    model = build_tiny('MCLSegmentor').double().train()
    model.data_preprocessor = Prepared()
    batch = random_batch(batch=1)
    optim_wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=0.1)))
    before = model.domain_heads[1].conv_seg.weight.clone()
    figures = model.train_step(batch, optim_wrapper)
    assert model.step_is_finite and torch.isfinite(figures['loss'])
    assert 0 < figures['mcl/kept_pixels/t1'] <= 1
    assert not torch.equal(model.domain_heads[1].conv_seg.weight, before)


@pytest.mark.parametrize('global_batch', [True, False])
def test_other_processes_are_asked_only_for_a_global_batch(
    build_tiny, random_batch, monkeypatch, global_batch
):
    asked = []
    for module, name in ((losses, 'sum_of_shares'), (selection, 'gather_shares')):
        monkeypatch.setattr(module, name, lambda share, name=name: asked.append(name) or share)
    model = build_tiny('MCLSegmentor', global_batch=global_batch).double()
    targets = random_batch()['targets']
    target_losses(model, 0, targets)
    assert {*asked} == ({'sum_of_shares', 'gather_shares'} if global_batch else set())
    asked.clear()
    model.hard_pseudo_label(targets[0]['soft_pseudo_label'], (4, 6))
    assert asked == []


def test_losses_resize_as_the_head_is_set(build_tiny, random_batch):
    batch, found = random_batch(), {}
    model = coarse(build_tiny('MCLSegmentor'))
    for model.align_corners in (True, False):
        source = source_losses(model, batch)
        target = target_losses(model, 0, batch['targets'])
        found[model.align_corners] = [
            *source,
            *(value for name, value in target.items() if name.startswith('loss_')),
        ]
    assert len(found[True]) == 8
    for aligned, other in zip(found[True], found[False]):
        assert aligned.item() != pytest.approx(other.item(), rel=1e-9)
    features = model.extract_feat(batch['source']['img'])
    logits = F.interpolate(
        model.decode_head(features), (16, 24), mode='bilinear', align_corners=False
    )
    expected = F.cross_entropy(logits, batch['source']['label'], ignore_index=255)
    torch.testing.assert_close(found[False][2], expected)


@pytest.mark.parametrize('align_corners', [True, False])
def test_pseudo_labels_are_resized_as_the_head_is_set(build_tiny, random_batch, align_corners):
    model = build_tiny('MCLSegmentor')
    model.align_corners = align_corners
    small = (6 * torch.rand(2, 3, 3, 4)).softmax(dim=1)
    resized = F.interpolate(small, (16, 24), mode='bilinear', align_corners=align_corners)
    (target,) = random_batch(1)['targets']
    del target['soft_pseudo_label']
    with pytest.raises(InputError, match='The batch has no soft pseudo-labels'):
        model.soft_view(0, target)
    model.teacher = lambda images, index: small
    assert torch.equal(model.soft_view(0, target), resized)
    selected = model.hard_pseudo_label(small, (16, 24))
    assert torch.equal(selected, model.hard_pseudo_label(resized, (16, 24)))


def test_columns_of_the_source(build_tiny, random_batch):
    model, batch = build_tiny('MCLSegmentor').double(), random_batch()
    source = batch['source']
    columns = model.source_columns(batch)
    assert [*columns] == ['image', 'label', 'in the colours of t0', 'in the colours of t1']
    assert columns['image'] == Images(source['img'])
    assert columns['label'] == Classes(source['img'], source['label'])
    for index, target in enumerate(batch['targets']):
        (images,) = columns[f'in the colours of t{index}']
        assert torch.equal(images, model.style_transfer(source['img'], target['img']))


@pytest.mark.parametrize('labelled_by', ['files', 'teacher', None])
def test_columns_of_a_target(build_tiny, random_batch, labelled_by):
    model, batch = build_tiny('MCLSegmentor').double(), random_batch()
    target, other = batch['targets']
    soft = target['soft_pseudo_label']
    if labelled_by != 'files':
        del target['soft_pseudo_label']
    if labelled_by == 'teacher':
        model.teacher = lambda images, index: soft
    columns = model.target_columns(batch, 0)
    styled = model.style_transfer(target['strong_img'], other['strong_img'])
    assert columns.pop('weak view') == Images(target['img'])
    assert columns.pop('strong view') == Images(target['strong_img'])
    assert torch.equal(columns.pop('in the colours of t1').images, styled)
    if labelled_by is None:
        assert columns == {}
        return
    likeliest = columns.pop('soft pseudo-label: likeliest class')
    assert likeliest.images is target['img']
    assert torch.equal(likeliest.indices, soft.argmax(dim=1))
    probability = columns.pop('soft pseudo-label: its probability')
    assert isinstance(probability, Shares)
    torch.testing.assert_close(probability.shares, soft.amax(dim=1))
    selected = columns.pop('selected pseudo-label')
    assert selected.images is target['strong_img']
    assert torch.equal(selected.indices, model.pseudo_label(0, target))
    assert columns == {}


def test_columns_of_a_validation(build_tiny):
    """The thresholds are those of each image alone."""
    model = build_tiny('MCLSegmentor').eval()
    images = torch.rand(2, 3, 16, 24)
    assert model.validation_columns(images, 'another domain') == {}
    for domain, name in enumerate(model.targets):
        ((heading, column),) = model.validation_columns(images, name).items()
        assert heading == 'kept pseudo-labels'
        assert column.images is images
        assert column.indices.shape == (2, 4, 6)
        for image, found in zip(images, column.indices):
            soft = model.soft_pseudo_label(image[None], domain)
            assert torch.equal(found, model.hard_pseudo_label(soft, (4, 6))[0])


def test_measured_operations(build_tiny, random_batch):
    model, batch = build_tiny('MCLSegmentor').double(), random_batch()
    first, second = batch['targets']
    soft = [each.pop('soft_pseudo_label') for each in (first, second)]
    model.teacher = lambda images, index: soft[index]
    operations = model.measured_operations(batch)
    assert {*operations} == {'style', 'select'}
    styled = model.style_transfer(batch['source']['img'], first['img'])
    # the source in the style of each target, the source itself, each target and its other style
    images = operations['style']()
    assert len(images) == 3 + 2 + 2
    assert torch.equal(images[0], styled)
    assert torch.equal(operations['select'](), model.pseudo_label(0, first))
