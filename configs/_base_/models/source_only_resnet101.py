# Source only: network and schedule of the warm-up, with one head and no discriminators
_base_ = './frozen_resnet101.py'
model = dict(type='SourceOnly')
