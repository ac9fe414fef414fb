# MCL, after its warm-up; the final config takes targets, classes and pipelines from a setting
_base_ = [
    '../default_runtime.py',
    '../models/mcl_resnet101.py',
    '../schedules/iterations_60k.py',
    '../schedules/self_training.py',
]
# 3 and 4 times the rate for the backbone, as in the released program; 'stated' uses 2.5e-4 exactly
optim_wrapper = dict(paramwise_cfg=dict(backbone_rates='nested'))
pseudo_label_hook = dict(type='PseudoLabelHook', interval=10000)
