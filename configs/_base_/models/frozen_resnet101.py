# ImageNet weights and frozen batch norm; the base of source only and of the warm-up
model = dict(
    data_preprocessor=dict(type='MultiDomainDataPreprocessor'),
    backbone=dict(
        type='DeepLabV2ResNet',
        depth=101,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101'),
    ),
    decode_head=dict(type='DeepLabV2Head', in_channels=2048),
    test_cfg=dict(mode='whole'),
)
