_base_ = './g2ci_19.py'
stage_before = '{{ fileDirname }}/../warmup/g2ci_19_segformer.py'
model = dict(
    backbone=dict(_delete_=True, type='MixTransformer'),
    neck=dict(type='ConcatenationNeck'),
    decode_head=dict(in_channels=1024),
)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=6e-5, weight_decay=1e-2))
