_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/toy_7.py',
    '../_base_/models/mcl_resnet101.py',
    '../_base_/models/thin_resnet18.py',
    '../_base_/schedules/iterations_400.py',
    '../_base_/schedules/self_training.py',
]
stage_before = '{{ fileDirname }}/warmup.py'
model = dict(
    targets=[target['domain'] for target in _base_.targets],
    backbone=dict(_delete_=True, **_base_.thin_backbone),
    decode_head=_base_.thin_head,
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
    optimizer=dict(lr=0.02),
    paramwise_cfg=dict(backbone_rates='stated', lr_mult=dict(decode_head=1)),
)
