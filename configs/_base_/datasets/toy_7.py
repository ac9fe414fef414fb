# The toy world of tools/make_toy_data.py: GTA5 -> the other three domains, 7 classes, small images.
_base_ = './domains_7.py'
data_root = '{{$MLCL_DATA_ROOT:work_dirs/demo/data}}'
working_size = (256, 128)
crop_size = (128, 64)

gta5 = dict(data_root=f'{data_root}/GTA5')
cityscapes = dict(data_root=f'{data_root}/Cityscapes')
mapillary = dict(data_root=f'{data_root}/Mapillary')
idd = dict(data_root=f'{data_root}/IDD_Segmentation')

targets = [
    {**_base_.cityscapes, **cityscapes},
    {**_base_.mapillary, **mapillary},
    {**_base_.idd, **idd},
]

sizes = dict(Resize=dict(scale=working_size), WeakAugmentation=dict(crop_size=crop_size))
pipelines = {
    name: [{**step, **sizes.get(step.type, {})} for step in steps]
    for name, steps in _base_.pipelines.items()
}

# for mmseg.apis.inference_model
test_pipeline = pipelines['test']

train_dataloader = dict(
    num_workers=1,
    dataset=dict(
        source={**_base_.gta5, **gta5},
        targets=targets,
        source_pipeline=pipelines['source'],
        target_pipeline=pipelines['warmup'],
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=False,
    dataset=dict(domains=targets, pipeline=pipelines['test']),
)
test_dataloader = val_dataloader
del sizes
