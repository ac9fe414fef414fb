# All domains with 7 classes; a setting selects its source and targets. Sizes are (width, height).
# The four data sets are in data/ or in the folder that the environment variable MLCL_DATA_ROOT
# names.
data_root = '{{$MLCL_DATA_ROOT:data}}'
num_classes = 7
working_size = (640, 320)
crop_size = (320, 160)

gta5 = dict(
    type='GTA5Domain',
    domain='gta5',
    data_root=f'{data_root}/GTA5',
    num_classes=num_classes,
)
cityscapes = dict(
    type='CityscapesDomain',
    domain='cityscapes',
    data_root=f'{data_root}/Cityscapes',
    num_classes=num_classes,
)
mapillary = dict(
    type='MapillaryDomain',
    domain='mapillary',
    data_root=f'{data_root}/Mapillary',
    num_classes=num_classes,
)
idd = dict(
    type='IDDDomain',
    domain='idd',
    data_root=f'{data_root}/IDD_Segmentation',
    num_classes=num_classes,
)

# Pillow reads and resizes, since it antialiases, ignores EXIF rotation and keeps palette indices
load_image = dict(
    type='LoadImageFromFile', color_type='color_ignore_orientation', imdecode_backend='pillow'
)
load_label = dict(type='LoadRawLabel')
resize = dict(type='Resize', scale=working_size, keep_ratio=False, backend='pillow')
weak = dict(type='WeakAugmentation', crop_size=crop_size)
pack = dict(
    type='PackSegInputs',
    meta_keys=('img_path', 'ori_shape', 'img_shape', 'domain', 'sample_name'),
)

pipelines = dict(
    source=[
        load_image,
        load_label,
        resize,
        dict(type='MapLabels'),
        weak,
        dict(type='PackDomainInputs'),
    ],
    warmup=[load_image, resize, weak, dict(type='PackDomainInputs')],
    self_training=[
        load_image,
        resize,
        dict(type='LoadSoftPseudoLabel'),
        weak,
        dict(type='StrongAugmentation'),
        dict(type='PackDomainInputs'),
    ],
    # for TeacherHook, which stores no pseudo-labels in files
    teacher=[
        load_image,
        resize,
        weak,
        dict(type='StrongAugmentation'),
        dict(type='PackDomainInputs'),
    ],
    pseudo_label=[load_image, resize, pack],
    # labels at the working size, as in the paper
    test=[load_image, load_label, resize, dict(type='MapLabels'), pack],
    # labels at their original size, to which predictions are resized
    test_full_resolution=[load_image, resize, load_label, dict(type='MapLabels'), pack],
)

# for mmseg.apis.inference_model
test_pipeline = pipelines['test']

# num_workers depends on the CPU cores and on whether the data are prepared
train_dataloader = dict(
    batch_size=4,
    sampler=dict(type='StreamSampler'),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='MultiDomainDataset',
        source_pipeline=pipelines['source'],
        target_pipeline=pipelines['warmup'],
    ),
)
val_dataloader = dict(
    batch_size=4,
    # evaluate every image once with any number of processes
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(type='MultiDomainValidation', pipeline=pipelines['test']),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='DomainIoUMetric')
test_evaluator = val_evaluator

# building blocks of the pipelines above
del load_image, load_label, resize, weak, pack
