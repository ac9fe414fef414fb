_base_ = '../_base_/mlcl_7.py'
warmup = '{{ fileDirname }}/../warmup/m2ci.py'
targets = [_base_.cityscapes, _base_.idd]
model = dict(targets=[target['domain'] for target in targets])
train_dataloader = dict(dataset=dict(source=_base_.mapillary, targets=targets))
val_dataloader = dict(dataset=dict(domains=targets))
test_dataloader = val_dataloader
