_base_ = ['../_base_/settings/g2ci_large.py', '../_base_/methods/mcl.py']
stage_before = '{{ fileDirname }}/../warmup/g2ci_segformer.py'
model = dict(
    targets=_base_.target_names,
    backbone=dict(_delete_=True, type='MixTransformer'),
    neck=dict(type='ConcatenationNeck'),
    decode_head=dict(in_channels=1024, num_classes=_base_.num_classes),
)
train_dataloader = dict(dataset=dict(target_pipeline=_base_.pipelines.self_training))
custom_hooks = [dict(**_base_.pseudo_label_hook, pipeline=_base_.pipelines.pseudo_label)]
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=6e-5, weight_decay=1e-2))
