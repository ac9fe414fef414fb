# For CPUs: a thin ResNet-18 trained from scratch, including its batch norm
thin_backbone = dict(type='DeepLabV2ResNet', depth=18, base_channels=16, stem_channels=16)
thin_head = dict(in_channels=128, channels=64, num_classes=7)
