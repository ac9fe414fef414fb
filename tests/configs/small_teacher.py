_base_ = './small_mlcl.py'
train_dataloader = dict(dataset=dict(target_pipeline=_base_.pipelines.teacher))
custom_hooks = [dict(type='TeacherHook', interval=200)]
