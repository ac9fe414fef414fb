# One SGD optimiser; the decode head (in MCL, the domain-agnostic head) has 10 times the rate
optim_wrapper = dict(
    constructor='MultiTargetOptimWrapperConstructor',
    type='PrecisionOptimWrapper',
    precision='tf32',
    optimizer=dict(type='SGD', lr=2.5e-4, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(lr_mult=dict(decode_head=10)),
)
