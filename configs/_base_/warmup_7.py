_base_ = [
    './default_runtime.py',
    './datasets/domains_7.py',
    './models/warmup_resnet101.py',
    './schedules/iterations_60k.py',
    './schedules/adversarial.py',
]
model = dict(decode_head=dict(num_classes=7), discriminator=dict(num_classes=7))
