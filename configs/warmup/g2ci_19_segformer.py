_base_ = ['./g2ci_19.py', '../_base_/models/mit_b5.py']
model = dict(
    backbone=dict(_delete_=True, **_base_.mit_b5),
    neck=dict(type='ConcatenationNeck'),
    decode_head=dict(in_channels=1024),
)
