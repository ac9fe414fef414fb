# MiT-B5 of SegFormer with the ImageNet weights of MMSegmentation
mit_b5 = dict(
    type='MixTransformer',
    init_cfg=dict(
        type='Pretrained',
        checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segformer/'
        'mit_b5_20220624-658746d9.pth',
    ),
)
