# Real images as domains by config alone: CamVid drives and Cityscapes frames, at a small size.
_base_ = '../../configs/_base_/datasets/domains_7.py'
real_data = '{{$MLCL_REAL_DATA:data}}'
working_size = (320, 160)
crop_size = (160, 80)

# CamVid: sky, building, pole, road, pavement, tree, sign, fence, car, pedestrian, bicyclist
camvid_labels = {0: 4, 1: 1, 2: 2, 3: 0, 4: 0, 5: 3, 6: 2, 7: 1, 8: 6, 9: 5, 10: 5}
day, other_day, dusk = (
    dict(
        type='FolderDomain',
        domain=name,
        data_root=f'{real_data}/camvid/{folder}',
        num_classes=7,
        label_map=camvid_labels,
    )
    for name, folder in (
        ('day', 'day_0016E5'),
        ('other_day', 'day_0006R0'),
        ('dusk', 'dusk_0001TP'),
    )
)
frames = dict(
    type='CityscapesDomain',
    domain='cityscapes',
    data_root=f'{real_data}/cityscapes',
    num_classes=7,
    split='train',
)
targets = [other_day, dusk, frames]

sizes = dict(Resize=dict(scale=working_size), WeakAugmentation=dict(crop_size=crop_size))
pipelines = {
    name: [{**step, **sizes.get(step.type, {})} for step in steps]
    for name, steps in _base_.pipelines.items()
}

# for mmseg.apis.inference_model
test_pipeline = pipelines['test']

train_dataloader = dict(
    batch_size=2,
    num_workers=1,
    dataset=dict(
        source=day,
        targets=targets,
        source_pipeline=pipelines['source'],
        target_pipeline=pipelines['warmup'],
    ),
)
val_dataloader = dict(
    num_workers=1,
    persistent_workers=False,
    dataset=dict(domains=targets, pipeline=pipelines['test']),
)
test_dataloader = val_dataloader
del sizes
