_base_ = ['../_base_/settings/c2mi_19.py', '../_base_/methods/source_only.py']
model = dict(decode_head=dict(num_classes=_base_.num_classes))
train_dataloader = dict(dataset=dict(targets=[]))
