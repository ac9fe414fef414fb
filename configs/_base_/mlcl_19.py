_base_ = [
    './default_runtime.py',
    './datasets/domains_19.py',
    './models/mcl_resnet101.py',
    './schedules/iterations_60k.py',
    './schedules/self_training.py',
]
model = dict(decode_head=dict(num_classes=19))
train_dataloader = dict(dataset=dict(target_pipeline=_base_.pipelines.self_training))
custom_hooks = [
    dict(type='PseudoLabelHook', interval=10000, pipeline=_base_.pipelines.pseudo_label)
]
