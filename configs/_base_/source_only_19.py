# A base for your own settings: source only with 19 classes, without source and targets
_base_ = ['./datasets/domains_19.py', './methods/source_only.py']
model = dict(decode_head=dict(num_classes=_base_.num_classes))
train_dataloader = dict(dataset=dict(targets=[]))
