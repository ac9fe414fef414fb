_base_ = [
    './default_runtime.py',
    './datasets/domains_19.py',
    './models/source_only_resnet101.py',
    './schedules/iterations_60k.py',
    './schedules/self_training.py',
]
model = dict(decode_head=dict(num_classes=19))
train_dataloader = dict(dataset=dict(targets=[]))
