_base_ = './g2ci.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='DeepLabV2VGG',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://vgg16'),
    ),
    decode_head=dict(in_channels=1024),
)
