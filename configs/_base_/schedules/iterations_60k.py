# 60 000 iterations, a validation every 1000; the best checkpoint has the highest mean over targets
train_cfg = dict(type='StreamTrainLoop', max_iters=60000, val_interval=1000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
# iteration k has (1 - k / max_iters)^0.9 times the initial rate: PolyLR reaches 0 at end - 1, so
# end is max_iters + 1
param_scheduler = dict(type='PolyLR', power=0.9, eta_min=0, begin=0, end=60001, by_epoch=False)
default_hooks = dict(
    runtime_info=dict(type='StepFiguresHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='DurableCheckpointHook',
        by_epoch=False,
        interval=1000,
        max_keep_ckpts=2,
        save_best='mIoU',
    ),
    data_check=dict(type='DataCheckHook'),
    run_record=dict(type='RunRecordHook'),
    resume=dict(type='ResumeHook'),
    finite_loss=dict(type='FiniteLossHook'),
    buffers=dict(type='BroadcastBuffersHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='SegVisualizationHook'),
    # draw contact sheets at every fifth validation; 0 draws none
    contact_sheet=dict(type='ContactSheetHook', interval=5),
)
# batch_size is per process; the learning rates are for 4 images of each domain over all processes
auto_scale_lr = dict(enable=False, base_batch_size=4)
