# Adversarial warm-up: ImageNet weights, batch norm frozen
model = dict(
    type='AdversarialWarmup',
    data_preprocessor=dict(type='MultiDomainDataPreprocessor'),
    backbone=dict(
        type='DeepLabV2ResNet',
        depth=101,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101'),
    ),
    decode_head=dict(type='DeepLabV2Head', in_channels=2048),
    discriminator=dict(type='DomainDiscriminator'),
    gan='vanilla',
    evaluate_with='own_head',
    test_cfg=dict(mode='whole'),
)
