"""VGG-16 and MiT: what is ours about them, and their ImageNet weights."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmseg.models import MixVisionTransformer
from mmseg.registry import MODELS
from torchvision.models.vgg import cfgs, make_layers

from mlcl_mmseg.errors import InputError
from mlcl_mmseg.models.backbones.pretrained import read_pretrained

SMALL = dict(embed_dims=16, num_layers=(1, 1, 1, 1))


@pytest.fixture(scope='module')
def vgg_file(tmp_path_factory):
    """Weights as torchvision stores those of its VGG-16, and its layers."""
    features = make_layers(cfgs['D'])
    state = {f'features.{name}': value for name, value in features.state_dict().items()}
    path = tmp_path_factory.mktemp('weights') / 'vgg16.pth'
    torch.save({**state, 'classifier.6.bias': torch.zeros(1000)}, path)
    return path, features


def pretrained(path):
    return dict(type='Pretrained', checkpoint=str(path))


def test_vgg_up_to_pool4_is_torchvisions(vgg_file):
    path, features = vgg_file
    torch.manual_seed(3)
    backbone = MODELS.build(dict(type='DeepLabV2VGG', init_cfg=pretrained(path)))
    fresh = backbone.features[29].weight.clone()
    backbone.init_weights()
    image = torch.rand(1, 3, 32, 48)
    with torch.no_grad():
        assert torch.equal(backbone.features[:23](image), features[:23](image))
        assert [tuple(each.shape) for each in backbone(image)] == [(1, 1024, 4, 6)]
    for ours, theirs in ((23, 24), (25, 26), (27, 28)):
        assert torch.equal(backbone.features[ours].weight, features[theirs].weight)
        assert backbone.features[ours].dilation == (2, 2)
    assert torch.equal(backbone.features[29].weight, fresh)
    assert backbone.features[31].dilation == backbone.features[31].padding == (4, 4)


def test_vgg_refuses_other_weights(vgg_file, tmp_path):
    state = torch.load(vgg_file[0])
    del state['features.28.weight']
    torch.save(state, tmp_path / 'vgg.pth')
    backbone = MODELS.build(dict(type='DeepLabV2VGG', init_cfg=pretrained(tmp_path / 'vgg.pth')))
    with pytest.raises(ValueError, match=r'vgg\.pth does not fit DeepLabV2VGG: .* features\.27\.w'):
        backbone.init_weights()


def test_mit_takes_the_weights_of_mmsegs(tmp_path):
    theirs = MixVisionTransformer(num_heads=[1, 2, 5, 8], **SMALL)
    torch.save(dict(state_dict=theirs.state_dict()), tmp_path / 'mit.pth')
    path = pretrained(tmp_path / 'mit.pth')
    ours = MODELS.build(dict(type='MixTransformer', init_cfg=path, **SMALL))
    ours.init_weights()
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name
    larger = MODELS.build(dict(type='MixTransformer', init_cfg=path, embed_dims=32))
    with pytest.raises(ValueError, match=r'mit\.pth does not fit MixTransformer: '):
        larger.init_weights()


def test_mit_norms_as_in_segformer():
    """1e-6 around attention and feed-forward and behind a stage; PyTorch's 1e-5 elsewhere."""
    backbone = MODELS.build(dict(type='MixTransformer', **SMALL))
    found = {
        name: module.eps
        for name, module in backbone.named_modules()
        if isinstance(module, torch.nn.LayerNorm)
    }
    for stage in range(4):
        assert found.pop(f'layers.{stage}.0.norm') == 1e-5
        if stage < 3:
            assert found.pop(f'layers.{stage}.1.0.attn.norm') == 1e-5
    assert len(found) == 12
    assert set(found.values()) == {1e-6}


def test_maps_are_concatenated_at_the_first_ones_size():
    neck = MODELS.build(dict(type='ConcatenationNeck'))
    levels = [torch.rand(2, 3, 8, 12), torch.rand(2, 5, 4, 6), torch.full((2, 1, 1, 1), 0.5)]
    (joined,) = neck(levels)
    assert joined.shape == (2, 9, 8, 12)
    assert torch.equal(joined[:, :3], levels[0])
    assert torch.allclose(joined[:, 8], torch.tensor(0.5))
    # align_corners=False: a corner pixel is the corner's
    assert torch.equal(joined[:, 3:8, 0, 0], levels[1][:, :, 0, 0])
    assert not torch.equal(joined[:, 3:8, 0, 1], levels[1][:, :, 0, 0])


@pytest.mark.parametrize(
    ('backbone', 'in_channels', 'expected'),
    [
        (dict(type='DeepLabV2VGG'), 1024, {1}),
        (dict(type='MixTransformer', **SMALL), 256, {2, 3, 4, 5, 6}),
    ],
)
def test_rates_as_released(backbone, in_channels, expected):
    """Q9: VGG 1×; MiT one per level of nesting in the released program."""
    model = MODELS.build(
        dict(
            type='MCLSegmentor',
            targets=['a'],
            backbone=backbone,
            neck=dict(type='ConcatenationNeck'),
            decode_head=dict(
                type='DeepLabV2Head', in_channels=in_channels, channels=32, num_classes=7
            ),
        )
    )
    optim_wrapper = build_optim_wrapper(
        model,
        dict(
            constructor='MultiTargetOptimWrapperConstructor',
            optimizer=dict(type='AdamW', lr=1.0),
            paramwise_cfg=dict(backbone_rates='nested', lr_mult=dict(decode_head=10)),
        ),
    )
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {
        names[id(parameter)]: group['lr']
        for group in optim_wrapper.optimizer.param_groups
        for parameter in group['params']
    }
    of_backbone = {name: rate for name, rate in rates.items() if name.startswith('backbone.')}
    assert set(of_backbone.values()) == expected
    assert set(rates.values()) == {1, 10, *expected}
    if backbone['type'] == 'MixTransformer':
        assert rates['backbone.layers.0.2.weight'] == 2
        assert rates['backbone.layers.0.0.projection.weight'] == 3
        assert rates['backbone.layers.0.1.0.norm1.weight'] == 4
        assert rates['backbone.layers.0.1.0.attn.attn.in_proj_weight'] == 5
        assert rates['backbone.layers.0.1.0.ffn.layers.1.weight'] == 6


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (torch.ones(1), 'has no state_dict but is a Tensor: use weights of the same architecture'),
        ([1], 'has no state_dict but is a list'),
        ({1: torch.ones(1)}, 'has a tensor whose name is 1, not a text'),
        ({'state_dict': {'conv1.weight': 'x'}}, r'has no dense tensor of numbers as conv1.weight'),
    ],
)
def test_odd_imagenet_weights(tmp_path, content, message):
    torch.save(content, tmp_path / 'x.pth')
    with pytest.raises(InputError, match=rf'x\.pth {message}'):
        read_pretrained(str(tmp_path / 'x.pth'))


def test_imagenet_weights_that_are_not_finite(tmp_path):
    settings = dict(type='DeepLabV2ResNet', depth=18, base_channels=8, stem_channels=8)
    weights = MODELS.build(settings).state_dict()
    name = next(iter(weights))
    torch.save({**weights, name: weights[name] * torch.nan}, tmp_path / 'x.pth')
    with pytest.raises(InputError, match=rf'x\.pth has .* in {name} that are not finite: use weig'):
        MODELS.build(dict(settings, init_cfg=pretrained(tmp_path / 'x.pth'))).init_weights()
