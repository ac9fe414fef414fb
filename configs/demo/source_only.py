_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/toy_7.py',
    '../_base_/models/source_only_resnet101.py',
    '../_base_/models/thin_resnet18.py',
    '../_base_/schedules/iterations_400.py',
    '../_base_/schedules/self_training.py',
]
model = dict(backbone=dict(_delete_=True, **_base_.thin_backbone), decode_head=_base_.thin_head)
train_dataloader = dict(dataset=dict(targets=[]))
optim_wrapper = dict(
    optimizer=dict(lr=0.03),
    paramwise_cfg=dict(backbone_rates='stated', lr_mult=dict(decode_head=1)),
)
# as many iterations as the warm-up and MCL together
train_cfg = dict(max_iters=800)
param_scheduler = dict(end=801)
