# Source only; a leaf takes classes from a setting, and no targets
_base_ = [
    '../default_runtime.py',
    '../models/source_only_resnet101.py',
    '../schedules/iterations_60k.py',
    '../schedules/self_training.py',
]
# backbone at 3 and 4 times the rate, as released; 'stated' takes 2.5e-4 at its word
optim_wrapper = dict(paramwise_cfg=dict(backbone_rates='nested'))
