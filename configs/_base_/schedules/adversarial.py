# Warm-up: SGD for the network, with 10 times the rate for heads, and Adam for the discriminators
optim_wrapper = dict(
    constructor='MultiTargetOptimWrapperConstructor',
    network=dict(
        type='PrecisionOptimWrapper',
        precision='tf32',
        optimizer=dict(type='SGD', lr=2.5e-4, momentum=0.9, weight_decay=1e-4),
    ),
    discriminators=dict(
        type='PrecisionOptimWrapper',
        precision='tf32',
        optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99)),
    ),
    paramwise_cfg=dict(lr_mult=dict(domain_heads=10)),
)
custom_hooks = [dict(type='DiscriminatorHook')]
