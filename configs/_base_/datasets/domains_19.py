# All domains with 19 classes: the domains of domains_7.py with another class set and other sizes.
_base_ = './domains_7.py'
num_classes = 19
working_size = (1024, 512)
crop_size = (512, 256)

gta5 = dict(num_classes=num_classes)
cityscapes = dict(num_classes=num_classes)
mapillary = dict(num_classes=num_classes)
idd = dict(num_classes=num_classes)

sizes = dict(Resize=dict(scale=working_size), WeakAugmentation=dict(crop_size=crop_size))
pipelines = {
    name: [{**step, **sizes.get(step.type, {})} for step in steps]
    for name, steps in _base_.pipelines.items()
}

# for mmseg.apis.inference_model
test_pipeline = pipelines['test']

train_dataloader = dict(
    dataset=dict(source_pipeline=pipelines['source'], target_pipeline=pipelines['warmup'])
)
val_dataloader = dict(dataset=dict(pipeline=pipelines['test']))
test_dataloader = val_dataloader
del sizes
