# All domains in 19 classes: those of domains_7.py with another label space and other sizes.
_base_ = './domains_7.py'
num_classes = 19
working_size = (1024, 512)
crop_size = (512, 256)

gta5 = dict(num_classes=num_classes)
cityscapes = dict(num_classes=num_classes)
mapillary = dict(num_classes=num_classes)
idd = dict(num_classes=num_classes)

sizes = dict(Resize=dict(scale=working_size), WeakAugmentation=dict(crop_size=crop_size))
source_pipeline = [{**step, **sizes.get(step.type, {})} for step in _base_.source_pipeline]
warmup_pipeline = [{**step, **sizes.get(step.type, {})} for step in _base_.warmup_pipeline]
self_training_pipeline = [
    {**step, **sizes.get(step.type, {})} for step in _base_.self_training_pipeline
]
pseudo_label_pipeline = [
    {**step, **sizes.get(step.type, {})} for step in _base_.pseudo_label_pipeline
]
test_pipeline = [{**step, **sizes.get(step.type, {})} for step in _base_.test_pipeline]

train_dataloader = dict(
    dataset=dict(source_pipeline=source_pipeline, target_pipeline=warmup_pipeline)
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
del sizes
