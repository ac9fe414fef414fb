# MCL, behind its warm-up; a leaf takes targets, classes and pipelines from a setting
_base_ = [
    '../default_runtime.py',
    '../models/mcl_resnet101.py',
    '../schedules/iterations_60k.py',
    '../schedules/self_training.py',
]
# backbone at 3 and 4 times the rate, as released; 'stated' takes 2.5e-4 at its word
optim_wrapper = dict(paramwise_cfg=dict(backbone_rates='nested'))
pseudo_label_hook = dict(type='PseudoLabelHook', interval=10000)
