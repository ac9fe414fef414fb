# GTA5 -> Cityscapes + Mapillary + IDD, 7 classes
_base_ = '../datasets/domains_7.py'
targets = [_base_.cityscapes, _base_.mapillary, _base_.idd]
target_names = [target['domain'] for target in targets]
train_dataloader = dict(dataset=dict(source=_base_.gta5, targets=targets))
val_dataloader = dict(dataset=dict(domains=targets))
test_dataloader = val_dataloader
