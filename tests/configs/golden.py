# A shipped config, tested on one folder of images at the size they have.
_base_ = '../../configs/mlcl/g2ci.py'
folder = dict(
    type='FolderDomain',
    data_root='{{$MLCL_REAL_DATA:data}}',
    image_dir='images',
    label_dir='labels',
    num_classes=7,
    label_map={0: 0},
)
test_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        domains=[{**folder, 'domain': 'cityscapes'}],
        pipeline=[step for step in _base_.pipelines.test if step.type != 'Resize'],
    ),
)
