# A base for your own settings: MCL with 19 classes, without source and targets
_base_ = ['./datasets/domains_19.py', './methods/mcl.py']
model = dict(decode_head=dict(num_classes=_base_.num_classes))
train_dataloader = dict(dataset=dict(target_pipeline=_base_.pipelines.self_training))
custom_hooks = [dict(**_base_.pseudo_label_hook, pipeline=_base_.pipelines.pseudo_label)]
