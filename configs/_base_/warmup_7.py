# A base for your own settings: the warm-up with 7 classes, without source and targets
_base_ = ['./datasets/domains_7.py', './methods/warmup.py']
model = dict(
    decode_head=dict(num_classes=_base_.num_classes),
    discriminator=dict(num_classes=_base_.num_classes),
)
