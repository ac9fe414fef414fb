import pytest
from mmengine.optim import OptimWrapperDict, build_optim_wrapper
from mmseg.registry import MODELS


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
    optim_wrapper = build(warmup, lr_mult=dict(domain_heads=10))
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
    found = rates(warmup, build(warmup, backbone_rates='stated')['network'])
    assert set(found.values()) == {0.5}


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
        (dict(lr_mult=dict(agnostic_head=10)), "'agnostic_head', but no trainable parameter"),
    ],
)
def test_mistakes_are_named(warmup, paramwise_cfg, message):
    with pytest.raises(ValueError, match=message):
        build(warmup, **paramwise_cfg)
