_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/toy_7.py',
    '../_base_/models/warmup_resnet101.py',
    '../_base_/models/thin_resnet18.py',
    '../_base_/schedules/iterations_400.py',
    '../_base_/schedules/adversarial.py',
]
model = dict(
    targets=[target['domain'] for target in _base_.targets],
    backbone=dict(_delete_=True, **_base_.thin_backbone),
    decode_head=_base_.thin_head,
    discriminator=dict(num_classes=7),
)
optim_wrapper = dict(
    network=dict(optimizer=dict(lr=0.03)),
    paramwise_cfg=dict(backbone_rates='stated', lr_mult=dict(domain_heads=1)),
)
