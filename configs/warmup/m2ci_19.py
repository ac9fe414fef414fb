_base_ = ['../_base_/settings/m2ci_19.py', '../_base_/methods/warmup.py']
model = dict(
    targets=_base_.target_names,
    decode_head=dict(num_classes=_base_.num_classes),
    discriminator=dict(num_classes=_base_.num_classes),
)
