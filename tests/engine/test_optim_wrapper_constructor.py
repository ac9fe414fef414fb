import pytest
from mmengine.optim import OptimWrapperDict, build_optim_wrapper
from mmseg.registry import MODELS

from mlcl_mmseg.methods.mcl.released.names import released_backbone_names


@pytest.fixture(scope='module')
def warmup():
    return MODELS.build(
        dict(
            type='AdversarialWarmup',
            targets=['a', 'b'],
            backbone=dict(
                type='DeepLabV2ResNet',
                depth=50,
                base_channels=8,
                stem_channels=8,
                norm_cfg=dict(type='BN', requires_grad=False),
            ),
            decode_head=dict(type='DeepLabV2Head', in_channels=256, channels=32, num_classes=7),
            discriminator=dict(type='DomainDiscriminator', num_classes=7),
        )
    )


def build(model, **paramwise_cfg):
    return build_optim_wrapper(
        model,
        dict(
            constructor='MultiTargetOptimWrapperConstructor',
            network=dict(optimizer=dict(type='SGD', lr=0.5, weight_decay=1e-4)),
            discriminators=dict(optimizer=dict(type='Adam', lr=0.25)),
            paramwise_cfg=paramwise_cfg,
        ),
    )


def rates(model, optim_wrapper):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: group['lr']
        for group in optim_wrapper.optimizer.param_groups
        for parameter in group['params']
    }


def test_rates_as_released(warmup):
    """Q9: stem 1×, stages 3×, their downsample branches 4×; heads as configured."""
    optim_wrapper = build(warmup, backbone_rates='nested', lr_mult=dict(domain_heads=10))
    assert isinstance(optim_wrapper, OptimWrapperDict)
    found = rates(warmup, optim_wrapper['network'])
    expected = {}
    for name, parameter in warmup.named_parameters():
        if name.startswith('domain_heads'):
            expected[name] = 5
        elif 'downsample' in name:
            expected[name] = 2
        elif '.layer' in name:
            expected[name] = 1.5
        elif name.startswith('backbone'):
            expected[name] = 0.5
        if not parameter.requires_grad:
            expected.pop(name, None)
    assert found == expected
    assert optim_wrapper['network'].optimizer.param_groups[0]['lr'] == 0.5


def test_rates_as_stated(warmup):
    for found in (build(warmup), build(warmup, backbone_rates='stated')):
        assert set(rates(warmup, found['network']).values()) == {0.5}


@pytest.fixture(scope='module', params=['ResNetV1c', 'MixVisionTransformer'])
def foreign(request):
    """A network on a backbone of MMSegmentation that the released program does not have."""
    backbones = dict(
        ResNetV1c=dict(type='ResNetV1c', depth=18, base_channels=8, stem_channels=8),
        MixVisionTransformer=dict(
            type='MixVisionTransformer', embed_dims=8, num_layers=(1, 1, 1, 1)
        ),
    )
    return MODELS.build(
        dict(
            type='SourceOnly',
            backbone=backbones[request.param],
            decode_head=dict(type='DeepLabV2Head', in_channels=64, channels=32, num_classes=7),
        )
    )


def build_foreign(model, **paramwise_cfg):
    config = dict(optimizer=dict(type='SGD', lr=0.5), paramwise_cfg=paramwise_cfg)
    return build_optim_wrapper(
        model, dict(config, constructor='MultiTargetOptimWrapperConstructor')
    )


def test_a_foreign_backbone_trains_at_the_stated_rate(foreign):
    found = rates(foreign, build_foreign(foreign))
    assert set(found.values()) == {0.5}
    assert set(found) == {name for name, each in foreign.named_parameters() if each.requires_grad}


def test_a_foreign_backbone_has_no_nested_rates(foreign):
    name = type(foreign.backbone).__name__
    with pytest.raises(ValueError, match=f"the authors' code has no {name}: set it to 'stated'"):
        build_foreign(foreign, backbone_rates='nested')


def test_rates_are_those_of_the_released_names(warmup):
    """Each backbone says itself how deeply its parameters are nested in the released program."""
    for config in (
        dict(type='DeepLabV2ResNet', depth=50, base_channels=8, stem_channels=8),
        dict(type='MixTransformer', embed_dims=8, num_layers=(1, 1, 1, 1)),
    ):
        backbone = MODELS.build(config)
        for name, _ in backbone.named_parameters():
            released, *_ = released_backbone_names(f'backbone.{name}', config['type'])
            assert backbone.released_updates(name) == released.count('.'), name


def test_optimisers_that_the_method_does_not_have(warmup):
    with pytest.raises(ValueError, match='trains with 2 optimisers, but optim_wrapper has optim'):
        build_foreign(warmup)


def test_discriminators_have_their_own_optimiser(warmup):
    optim_wrapper = build(warmup)['discriminators']
    assert set(rates(warmup, optim_wrapper)) == {
        name for name, _ in warmup.named_parameters() if name.startswith('discriminators.')
    }
    assert set(rates(warmup, optim_wrapper).values()) == {0.25}


@pytest.mark.parametrize(
    ('paramwise_cfg', 'message'),
    [
        (dict(backbone_rates='fast'), "backbone_rates='fast'"),
        (dict(custom_keys={}), 'custom_keys'),
        (dict(lr_mult=dict(agnostic_head=10)), "'agnostic_head', which matches no trainable"),
    ],
)
def test_mistakes_are_named(warmup, paramwise_cfg, message):
    with pytest.raises(ValueError, match=message):
        build(warmup, **paramwise_cfg)
