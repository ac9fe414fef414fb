import pytest
import torch
from mmengine.optim import build_optim_wrapper

from mlcl_mmseg.engine.precision import PRECISIONS, choose_precision, precision_of, use_precision
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


def test_the_precision_of_a_config(monkeypatch):
    """It is what use_precision has set, and that of the network where there are discriminators."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    for config in configs():
        for precision in (*PRECISIONS, *reversed(PRECISIONS)):
            use_precision(config, precision)
            assert precision_of(config) == precision
    warmup, _ = configs()
    warmup['discriminators'].update(type='PrecisionOptimWrapper', precision='bf16')
    assert precision_of(warmup) == precision_of(None) == 'fp32'
    assert precision_of(dict(type='AmpOptimWrapper', optimizer={}, dtype='bfloat16')) == 'bf16'
    assert precision_of(dict(type='AmpOptimWrapper', optimizer={})) == 'fp16'


def test_a_chosen_loss_scale_is_kept(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    config = dict(type='AmpOptimWrapper', loss_scale=512.0, optimizer=dict(type='SGD', lr=0.1))
    use_precision(config, 'fp16')
    assert config['loss_scale'] == 512


@pytest.mark.parametrize(
    ('chosen', 'trained', 'on_gpu', 'expected'),
    [
        (None, 'bf16', False, 'bf16'),
        (None, 'tf32', True, 'tf32'),
        (None, 'tf32', False, 'fp32'),
        ('fp32', 'bf16', True, 'fp32'),
        ('bf16', 'tf32', False, 'bf16'),
    ],
)
def test_the_precision_of_predictions(chosen, trained, on_gpu, expected):
    config = dict(optim_wrapper=dict(optimizer={}, precision=trained))
    assert choose_precision(chosen, config, on_gpu) == expected


@pytest.mark.parametrize(
    ('chosen', 'trained'), [('tf32', 'fp32'), ('fp16', 'fp32'), (None, 'fp16')]
)
def test_predictions_without_the_gpu_that_they_need(chosen, trained):
    wrapper = dict(type='AmpOptimWrapper') if trained == 'fp16' else dict(precision=trained)
    with pytest.raises(InputError, match=f'{chosen or trained} needs a GPU: use fp32 or bf16'):
        choose_precision(chosen, dict(optim_wrapper=wrapper), on_gpu=False)


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
