# GTA5 -> Cityscapes + IDD, 7 classes, with the sizes of domains_7_large.py
_base_ = '../datasets/domains_7_large.py'
targets = [_base_.cityscapes, _base_.idd]
target_names = [target['domain'] for target in targets]
train_dataloader = dict(dataset=dict(source=_base_.gta5, targets=targets))
val_dataloader = dict(dataset=dict(domains=targets))
test_dataloader = val_dataloader
