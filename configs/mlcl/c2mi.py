_base_ = ['../_base_/settings/c2mi.py', '../_base_/methods/mcl.py']
stage_before = '{{ fileDirname }}/../warmup/c2mi.py'
model = dict(targets=_base_.target_names, decode_head=dict(num_classes=_base_.num_classes))
train_dataloader = dict(dataset=dict(target_pipeline=_base_.pipelines.self_training))
custom_hooks = [dict(**_base_.pseudo_label_hook, pipeline=_base_.pipelines.pseudo_label)]
