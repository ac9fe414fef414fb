_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/domains_7_large.py',
    '../_base_/models/warmup_resnet101.py',
    '../_base_/models/mit_b5.py',
    '../_base_/schedules/iterations_60k.py',
    '../_base_/schedules/adversarial.py',
]
targets = [_base_.cityscapes, _base_.idd]
model = dict(
    targets=[target['domain'] for target in targets],
    backbone=dict(_delete_=True, **_base_.mit_b5),
    neck=dict(type='ConcatenationNeck'),
    decode_head=dict(in_channels=1024, num_classes=7),
    discriminator=dict(num_classes=7),
)
train_dataloader = dict(dataset=dict(source=_base_.gta5, targets=targets))
val_dataloader = dict(dataset=dict(domains=targets))
test_dataloader = val_dataloader
