_base_ = [
    '../_base_/settings/g2ci_large.py',
    '../_base_/methods/warmup.py',
    '../_base_/models/mit_b5.py',
]
model = dict(
    targets=_base_.target_names,
    backbone=dict(_delete_=True, **_base_.mit_b5),
    neck=dict(type='ConcatenationNeck'),
    decode_head=dict(in_channels=1024, num_classes=_base_.num_classes),
    discriminator=dict(num_classes=_base_.num_classes),
)
