import pytest
import torch
from mmengine.optim import build_optim_wrapper

from mlcl_mmseg.engine.precision import use_precision
from mlcl_mmseg.errors import InputError


def configs():
    warmup = dict(
        constructor='MultiTargetOptimWrapperConstructor',
        network=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)),
        discriminators=dict(optimizer=dict(type='Adam')),
        paramwise_cfg=dict(lr_mult={}),
    )
    mlcl = dict(
        type='OptimWrapper',
        optimizer=dict(type='SGD', lr=0.1),
        constructor='MultiTargetOptimWrapperConstructor',
    )
    return warmup, mlcl


def test_it_reaches_every_optimiser():
    warmup, mlcl = configs()
    for config in (warmup, mlcl):
        use_precision(config, 'bf16')
    for wrapper in (warmup['network'], warmup['discriminators'], mlcl):
        assert (wrapper['type'], wrapper['precision']) == ('PrecisionOptimWrapper', 'bf16')
    assert 'type' not in warmup


def test_fp16_scales_the_loss(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    warmup, mlcl = configs()
    for config in (warmup, mlcl):
        use_precision(config, 'fp16')
    for wrapper in (warmup['network'], warmup['discriminators'], mlcl):
        assert wrapper['type'] == 'AmpOptimWrapper'
        assert (wrapper['dtype'], wrapper['loss_scale']) == ('float16', 'dynamic')


@pytest.mark.parametrize(
    ('precision', 'message'),
    [
        ('fp8', "precision is 'fp8': set it to one of fp32, tf32, bf16, fp16"),
        ('fp16', 'fp16 needs a GPU: use fp32 or bf16'),
    ],
)
def test_what_is_not_to_be_had(precision, message, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(InputError, match=message):
        use_precision(configs()[1], precision)


@pytest.mark.parametrize('precision', ['fp32', 'tf32', 'bf16'])
def test_forward_passes_and_weights(build_tiny, random_batch, precision):
    """bf16 computes products in bfloat16; losses and weights stay float32."""
    model = build_tiny('MCLSegmentor')
    config = configs()[1]
    use_precision(config, 'fp32')
    config['precision'] = precision
    optim_wrapper = build_optim_wrapper(model, config)
    batch = random_batch()
    images = [batch['source'], *batch['targets']]
    for each in images:
        each.update({key: value.float() for key, value in each.items() if 'img' in key})
    kinds = []
    model.backbone.register_forward_hook(lambda *args: kinds.append(args[2][0].dtype))
    before = model.backbone.conv.weight.clone()
    with optim_wrapper.optim_context(model):
        losses = model.loss(batch)
    optim_wrapper.update_params(model.parse_losses(losses)[0])
    expected = torch.bfloat16 if precision == 'bf16' else torch.float32
    # the last layer of the tiny backbone is a tanh of a convolution's result
    assert set(kinds) == {expected}
    assert all(value.dtype == torch.float32 for name, value in losses.items() if 'loss' in name)
    assert model.backbone.conv.weight.dtype == torch.float32
    assert not torch.equal(model.backbone.conv.weight, before)


def test_optimisers_are_fused_unless_they_are_not_to_be(build_tiny):
    if torch.__version__ < '2.4':
        pytest.skip('this PyTorch has fused optimisers on GPUs alone')
    for option, expected in (({}, True), (dict(fused=False), False)):
        config = configs()[1]
        config['optimizer'].update(option)
        optim_wrapper = build_optim_wrapper(build_tiny('MCLSegmentor'), config)
        assert optim_wrapper.optimizer.defaults['fused'] is expected
