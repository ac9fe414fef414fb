_base_ = '../_base_/source_only_19.py'
targets = [_base_.mapillary, _base_.idd]
train_dataloader = dict(dataset=dict(source=_base_.cityscapes))
val_dataloader = dict(dataset=dict(domains=targets))
test_dataloader = val_dataloader
