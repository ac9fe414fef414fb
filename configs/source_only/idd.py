_base_ = '../_base_/source_only_7.py'
targets = [_base_.cityscapes, _base_.mapillary]
train_dataloader = dict(dataset=dict(source=_base_.idd))
val_dataloader = dict(dataset=dict(domains=targets))
test_dataloader = val_dataloader
