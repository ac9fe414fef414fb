_base_ = [
    '../../configs/_base_/default_runtime.py',
    '../../configs/_base_/schedules/iterations_60k.py',
    '../../configs/_base_/schedules/adversarial.py',
    './real_images.py',
]
# from scratch on a CPU: a thin ResNet-18 whose batch norm trains
model = dict(
    type='AdversarialWarmup',
    targets=[target['domain'] for target in _base_.targets],
    data_preprocessor=dict(type='MultiDomainDataPreprocessor'),
    backbone=dict(type='DeepLabV2ResNet', depth=18, base_channels=16, stem_channels=16),
    decode_head=dict(type='DeepLabV2Head', in_channels=128, channels=64, num_classes=7),
    discriminator=dict(type='DomainDiscriminator', num_classes=7),
    test_cfg=dict(mode='whole'),
)
optim_wrapper = dict(
    network=dict(optimizer=dict(lr=1e-2)),
    paramwise_cfg=dict(backbone_rates='stated', lr_mult=dict(domain_heads=1)),
)
train_cfg = dict(max_iters=400, val_interval=100)
param_scheduler = dict(end=401)
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=100))
