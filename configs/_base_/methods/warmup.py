# The adversarial warm-up of MCL; the final config takes targets and classes from a setting
_base_ = [
    '../default_runtime.py',
    '../models/warmup_resnet101.py',
    '../schedules/iterations_60k.py',
    '../schedules/adversarial.py',
]
# 3 and 4 times the rate for the backbone, as in the released program; 'stated' uses 2.5e-4 exactly
optim_wrapper = dict(paramwise_cfg=dict(backbone_rates='nested'))
