_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/domains_7_large.py',
    '../_base_/models/mcl_resnet101.py',
    '../_base_/schedules/iterations_60k.py',
    '../_base_/schedules/self_training.py',
]
warmup = '{{ fileDirname }}/../warmup/g2ci_segformer.py'
targets = [_base_.cityscapes, _base_.idd]
model = dict(
    targets=[target['domain'] for target in targets],
    backbone=dict(_delete_=True, type='MixTransformer'),
    neck=dict(type='ConcatenationNeck'),
    decode_head=dict(in_channels=1024, num_classes=7),
)
train_dataloader = dict(
    dataset=dict(
        source=_base_.gta5,
        targets=targets,
        target_pipeline=_base_.pipelines.self_training,
    )
)
val_dataloader = dict(dataset=dict(domains=targets))
test_dataloader = val_dataloader
custom_hooks = [
    dict(type='PseudoLabelHook', interval=10000, pipeline=_base_.pipelines.pseudo_label)
]
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=6e-5, weight_decay=1e-2))
