# MCL: backbone and domain heads are loaded from the warm-up, and batch norm is trained
model = dict(
    type='MCLSegmentor',
    data_preprocessor=dict(type='MultiDomainDataPreprocessor'),
    backbone=dict(type='DeepLabV2ResNet', depth=101),
    decode_head=dict(type='DeepLabV2Head', in_channels=2048),
    cross_sample_mask=True,
    own_features_first=True,
    test_cfg=dict(mode='whole'),
)
