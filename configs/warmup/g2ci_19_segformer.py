_base_ = './g2ci_19.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='MixTransformer',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segformer/'
            'mit_b5_20220624-658746d9.pth',
        ),
    ),
    neck=dict(type='ConcatenationNeck'),
    decode_head=dict(in_channels=1024),
)
