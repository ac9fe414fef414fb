# The adversarial warm-up of MCL; a leaf takes targets and classes from a setting
_base_ = [
    '../default_runtime.py',
    '../models/warmup_resnet101.py',
    '../schedules/iterations_60k.py',
    '../schedules/adversarial.py',
]
# backbone at 3 and 4 times the rate, as released; 'stated' takes 2.5e-4 at its word
optim_wrapper = dict(paramwise_cfg=dict(backbone_rates='nested'))
