# The domains of domains_7.py at the sizes that the paper uses for MiT-B5.
_base_ = './domains_7.py'
working_size = (960, 480)
crop_size = (480, 240)

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
