_base_ = '../_base_/mlcl_19.py'
warmup = '{{ fileDirname }}/../warmup/g2cmi_19.py'
targets = [_base_.cityscapes, _base_.mapillary, _base_.idd]
model = dict(targets=[target['domain'] for target in targets])
train_dataloader = dict(dataset=dict(source=_base_.gta5, targets=targets))
val_dataloader = dict(dataset=dict(domains=targets))
test_dataloader = val_dataloader
