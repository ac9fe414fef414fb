# Real images as domains by config alone: CamVid drives and Cityscapes frames, a small network.
real_data = '{{$MLCL_REAL_DATA:data}}'
num_classes = 7
working_size = (320, 160)
crop_size = (160, 80)

# CamVid: sky, building, pole, road, pavement, tree, sign, fence, car, pedestrian, bicyclist
camvid_labels = {0: 4, 1: 1, 2: 2, 3: 0, 4: 0, 5: 3, 6: 2, 7: 1, 8: 6, 9: 5, 10: 5}
day, other_day, dusk = (
    dict(
        type='FolderDomain',
        domain=name,
        data_root=f'{real_data}/camvid/{folder}',
        num_classes=num_classes,
        label_map=camvid_labels,
    )
    for name, folder in (
        ('day', 'day_0016E5'),
        ('other_day', 'day_0006R0'),
        ('dusk', 'dusk_0001TP'),
    )
)
cityscapes = dict(
    type='CityscapesDomain',
    domain='cityscapes',
    data_root=f'{real_data}/cityscapes',
    num_classes=num_classes,
    split='train',
)
targets = [other_day, dusk, cityscapes]

load_image = dict(
    type='LoadImageFromFile', color_type='color_ignore_orientation', imdecode_backend='pillow'
)
load_label = dict(type='LoadAnnotations', imdecode_backend='pillow')
resize = dict(type='Resize', scale=working_size, keep_ratio=False, backend='pillow')
weak = dict(type='WeakAugmentation', crop_size=crop_size)
pack = dict(
    type='PackSegInputs',
    meta_keys=('img_path', 'ori_shape', 'img_shape', 'domain', 'sample_name'),
)
source_pipeline = [
    load_image,
    load_label,
    resize,
    dict(type='MapLabels'),
    weak,
    dict(type='PackDomainInputs'),
]
warmup_pipeline = [load_image, resize, weak, dict(type='PackDomainInputs')]
self_training_pipeline = [
    load_image,
    resize,
    dict(type='LoadSoftPseudoLabel'),
    weak,
    dict(type='StrongAugmentation'),
    dict(type='PackDomainInputs'),
]
pseudo_label_pipeline = [load_image, resize, pack]
test_pipeline = [load_image, load_label, resize, dict(type='MapLabels'), pack]

train_dataloader = dict(
    batch_size=2,
    num_workers=1,
    sampler=dict(type='StreamSampler'),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='MultiDomainDataset',
        source=day,
        targets=targets,
        source_pipeline=source_pipeline,
        target_pipeline=warmup_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='MultiDomainValidation', domains=targets, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='DomainIoUMetric')
test_evaluator = val_evaluator
