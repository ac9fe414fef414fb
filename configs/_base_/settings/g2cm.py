# GTA5 -> Cityscapes + Mapillary, 7 classes
_base_ = '../datasets/domains_7.py'
targets = [_base_.cityscapes, _base_.mapillary]
target_names = [target['domain'] for target in targets]
train_dataloader = dict(dataset=dict(source=_base_.gta5, targets=targets))
val_dataloader = dict(dataset=dict(domains=targets))
test_dataloader = val_dataloader
