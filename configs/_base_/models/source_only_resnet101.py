# Source only: the warm-up's network and schedule with one head and no adversary
_base_ = './frozen_resnet101.py'
model = dict(type='SourceOnly')
