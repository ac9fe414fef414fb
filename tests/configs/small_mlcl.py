_base_ = [
    '../../configs/_base_/default_runtime.py',
    '../../configs/_base_/schedules/iterations_60k.py',
    '../../configs/_base_/schedules/self_training.py',
    './real_images.py',
]
stage_before = '{{ fileDirname }}/small_warmup.py'
model = dict(
    type='MCLSegmentor',
    targets=[target['domain'] for target in _base_.targets],
    data_preprocessor=dict(type='MultiDomainDataPreprocessor'),
    backbone=dict(type='DeepLabV2ResNet', depth=18, base_channels=16, stem_channels=16),
    decode_head=dict(type='DeepLabV2Head', in_channels=128, channels=64, num_classes=7),
    test_cfg=dict(mode='whole'),
)
train_dataloader = dict(dataset=dict(target_pipeline=_base_.pipelines.self_training))
custom_hooks = [
    dict(
        type='PseudoLabelHook',
        interval=200,
        pipeline=_base_.pipelines.pseudo_label,
        num_workers=0,
    )
]
optim_wrapper = dict(
    optimizer=dict(lr=5e-3),
    paramwise_cfg=dict(backbone_rates='stated', lr_mult=dict(decode_head=1)),
)
train_cfg = dict(max_iters=400, val_interval=100)
param_scheduler = dict(end=401)
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=100))
