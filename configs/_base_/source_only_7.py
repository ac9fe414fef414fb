# A base for your own settings: source only with 7 classes, without source and targets
_base_ = ['./datasets/domains_7.py', './methods/source_only.py']
model = dict(decode_head=dict(num_classes=_base_.num_classes))
train_dataloader = dict(dataset=dict(targets=[]))
