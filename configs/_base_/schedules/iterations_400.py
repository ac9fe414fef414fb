# 400 iterations, a validation every 100
_base_ = './iterations_60k.py'
train_cfg = dict(max_iters=400, val_interval=100)
param_scheduler = dict(end=401)
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=100), contact_sheet=dict(interval=2)
)
