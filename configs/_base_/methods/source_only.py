# Source only; the final config takes classes from a setting, but no targets
_base_ = [
    '../default_runtime.py',
    '../models/source_only_resnet101.py',
    '../schedules/iterations_60k.py',
    '../schedules/self_training.py',
]
# 3 and 4 times the rate for the backbone, as in the released program; 'stated' uses 2.5e-4 exactly
optim_wrapper = dict(paramwise_cfg=dict(backbone_rates='nested'))
