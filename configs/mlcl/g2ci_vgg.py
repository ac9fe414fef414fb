_base_ = './g2ci.py'
stage_before = '{{ fileDirname }}/../warmup/g2ci_vgg.py'
model = dict(
    backbone=dict(_delete_=True, type='DeepLabV2VGG'),
    decode_head=dict(in_channels=1024),
)
