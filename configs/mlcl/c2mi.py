_base_ = '../_base_/mlcl_7.py'
warmup = '{{ fileDirname }}/../warmup/c2mi.py'
targets = [_base_.mapillary, _base_.idd]
model = dict(targets=[target['domain'] for target in targets])
train_dataloader = dict(dataset=dict(source=_base_.cityscapes, targets=targets))
val_dataloader = dict(dataset=dict(domains=targets))
test_dataloader = val_dataloader
