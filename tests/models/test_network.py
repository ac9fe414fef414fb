"""How the parts of a segmentor are built."""

import copy

import pytest
import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import nn

from mlcl_mmseg.models.decode_heads import logits_of_passes


def test_initialisation_of_a_head():
    """§1: convolutions N(0, 0.01), bottleneck bias 0; other biases and linears as PyTorch's."""
    head = MODELS.build(dict(type='DeepLabV2Head', in_channels=64, channels=64, num_classes=7))
    head.init_weights()
    convolutions = [module for module in head.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 7
    for module in convolutions:
        assert module.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert torch.all(head.bottleneck.conv.bias == 0)
    assert all(torch.any(branch.conv.bias != 0) for branch in head.branches)
    bound = 1 / head.squeeze_excitation.excite[0].in_features ** 0.5
    assert head.squeeze_excitation.excite[0].weight.abs().max() > 0.9 * bound
    assert head.conv_seg.bias is None
    assert head.squeeze_excitation.excite[0].out_features == 5 * 64 // 16
    assert [branch.conv.dilation[0] for branch in head.branches] == [1, 6, 12, 18, 24]


@pytest.mark.parametrize('norm', [{}, dict(affine=False)], ids=['affine', 'without weights'])
def test_branches_are_finished_together(norm):
    """Bias, norm and activation of the concatenation are those of each branch."""
    torch.manual_seed(0)
    head = MODELS.build(
        dict(
            type='DeepLabV2Head',
            in_channels=8,
            channels=8,
            num_classes=3,
            norm_cfg=dict(type='GN', num_groups=4, **norm),
        )
    )
    for parameter in head.parameters():
        nn.init.normal_(parameter)
    head, features = head.double().eval(), torch.randn(2, 8, 5, 7, dtype=torch.float64)
    joined = torch.cat([branch(features) for branch in head.branches], dim=1)
    expected = head.cls_seg(head.bottleneck(head.squeeze_excitation(joined)))
    torch.testing.assert_close(head([features]), expected)


@pytest.mark.parametrize('order', [[0, 1, 2], [1, 0, 2]])
def test_ensemble_head_takes_n_feature_maps(build_tiny, order):
    """Computed part by part it is the head on the concatenation."""
    model = build_tiny('MCLSegmentor', 3).double()
    features = [(torch.rand(2, 32, 4, 6, dtype=torch.float64),) for _ in range(4)]
    heads = [
        [model.domain_heads[0], model.decode_head],
        [],
        [model.domain_heads[2]],
        [model.decode_head, model.domain_heads[0]],
    ]
    logits, ensembles = logits_of_passes(
        features, heads, model.ensemble_head, [order, [3, *order[:2]]]
    )
    for passes, ensemble in zip([order, [3, *order[:2]]], ensembles):
        concatenated = torch.cat([features[each][0] for each in passes], dim=1)
        torch.testing.assert_close(ensemble, model.ensemble_head([concatenated]))
    for (level,), own, found in zip(features, heads, logits):
        assert len(own) == len(found)
        for head, each in zip(own, found):
            torch.testing.assert_close(each, head([level]))


def test_batch_norm_in_heads_sees_one_pass_at_a_time(build_tiny):
    model = build_tiny('MCLSegmentor').double().train()
    for head in (*model.domain_heads, model.decode_head, model.ensemble_head):
        head.bottleneck.gn = nn.BatchNorm2d(32).double()
    features = [(scale * torch.rand(2, 32, 4, 6, dtype=torch.float64),) for scale in (1, 9)]
    heads = [[model.decode_head], [model.decode_head, model.domain_heads[0]]]
    logits, _ = logits_of_passes(features, heads, model.ensemble_head, [[0, 1]])
    assert model.decode_head.bottleneck.gn.num_batches_tracked == 2
    for levels, own, found in zip(features, heads, logits):
        torch.testing.assert_close(found, [head(levels) for head in own])


class OtherBatchNorm(nn.BatchNorm2d):
    """A batch norm that knows nothing of passes."""


@pytest.mark.parametrize('norms', ['frozen', 'trained', 'of another class'])
def test_passes_have_statistics_of_their_own(small_resnet, norms):
    """§4: several batches as one, with separate statistics; else one after the other."""
    model = MODELS.build(
        dict(
            type='MCLSegmentor',
            targets=['a'],
            backbone={**small_resnet, 'norm_eval': norms == 'frozen'},
            decode_head=dict(type='DeepLabV2Head', in_channels=256, channels=32, num_classes=3),
        )
    ).double()
    if norms == 'of another class':
        model.backbone.bn1.__class__ = OtherBatchNorm
    model.train()
    one_by_one = copy.deepcopy(model)
    images = [torch.rand(2, 3, 32, 48, dtype=torch.float64) * scale for scale in (1, 9, 4)]
    calls = []
    model.backbone.register_forward_hook(lambda *args: calls.append(len(args[1][0])))
    found = model.extract_passes(images)
    assert calls == ([2, 2, 2] if norms == 'of another class' else [6])
    for image, maps in zip(images, found):
        torch.testing.assert_close(maps, one_by_one.extract_feat(image))
    torch.testing.assert_close(model.state_dict(), one_by_one.state_dict())


def test_an_auxiliary_head_that_nothing_would_train(build_tiny):
    head = dict(type='FCNHead', in_channels=32, channels=8, num_classes=3)
    with pytest.raises(ValueError, match='auxiliary_head is set, but SourceOnly does not train it'):
        build_tiny('SourceOnly', auxiliary_head=head)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(gan='wasserstein'), "model.gan is 'wasserstein': set it to one of vanilla, LS"),
        (dict(evaluate_with='all'), "model.evaluate_with is 'all'"),
    ],
)
def test_unknown_options(build_tiny, change, message):
    with pytest.raises(ValueError, match=message):
        build_tiny('AdversarialWarmup', **change)


@pytest.mark.parametrize(
    ('targets', 'message'),
    [
        ([], 'name one or more domains, each once'),
        (['idd', 'idd'], 'name one or more domains, each once'),
        (['glossy'], "domain 'glossy' has 'loss' in its name"),
    ],
)
def test_names_of_targets(targets, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(type='MCLSegmentor', targets=targets, backbone={}, decode_head={}))


def test_discriminators_are_frozen_and_a_quarter_of_a_quarter(build_tiny):
    model = build_tiny('AdversarialWarmup')
    assert isinstance(model.discriminators[0], BaseModule)
    assert not any(each.requires_grad for each in model.discriminators.parameters())
    assert model.discriminators[0](torch.rand(2, 3, 40, 72)).shape == (2, 1, 3, 5)
