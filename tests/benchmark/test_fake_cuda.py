"""What a training step asks of a GPU, counted without one.

A number that is higher than here is a new wait, copy or computation in float64: avoid it, or write
down the new number. A lower one is to be written down, too.
"""

import functools
import json
from typing import NamedTuple

import pytest
from mmengine.config import Config
from mmpretrain.models.backbones.resnet import BasicBlock, Bottleneck

from mlcl_mmseg.benchmark.fake_cuda import count_step
from mlcl_mmseg.models.backbones import DeepLabV2ResNet
from mlcl_mmseg.shipped import CONFIGS

SHIPPED = sorted(
    str(path.relative_to(CONFIGS).with_suffix(''))
    for folder in ('mlcl', 'warmup', 'source_only', 'demo')
    for path in (CONFIGS / folder).glob('*.py')
)


class Found(NamedTuple):
    """Numbers of a step, see OperationCounter."""

    waits: int
    copies: int
    host_scalars: int
    float64: int


# with two targets; fp32 differs from tf32 only in a setting of the GPU
EXPECTED = {
    ('source_only', 'tf32'): Found(waits=0, copies=0, host_scalars=0, float64=0),
    ('source_only', 'bf16'): Found(waits=0, copies=0, host_scalars=0, float64=0),
    # PyTorch inverts the loss scale in float64, once for each optimiser
    ('source_only', 'fp16'): Found(waits=0, copies=0, host_scalars=0, float64=3),
    ('warmup', 'tf32'): Found(waits=0, copies=0, host_scalars=0, float64=0),
    ('warmup', 'bf16'): Found(waits=0, copies=0, host_scalars=0, float64=0),
    ('warmup', 'fp16'): Found(waits=0, copies=0, host_scalars=0, float64=6),
    # means and deviations of all colours, for all style transfers together
    ('mlcl', 'tf32'): Found(waits=0, copies=0, host_scalars=0, float64=10),
    ('mlcl', 'bf16'): Found(waits=0, copies=0, host_scalars=0, float64=10),
    ('mlcl', 'fp16'): Found(waits=0, copies=0, host_scalars=0, float64=13),
}

# the most operations of a whole step, without views
MOST = {
    ('mlcl/g2ci', 'bf16'): 3850,
    ('mlcl/g2ci', 'tf32'): 3500,
    ('mlcl/g2cmi_19', 'bf16'): 5450,
    ('mlcl/g2ci_vgg', 'bf16'): 1200,
    ('mlcl/g2ci_segformer', 'bf16'): 7400,
    ('warmup/g2ci', 'bf16'): 1560,
    ('warmup/g2ci', 'fp16'): 1580,
    ('source_only/gta5', 'bf16'): 1080,
    ('demo/mlcl', 'bf16'): 2150,
}
QUICK = [('mlcl/g2ci', 'bf16')]


def shrunken(name: str) -> dict:
    """What makes a difference in a config's step, for two targets, few layers and small images."""
    config = Config.fromfile(CONFIGS / f'{name}.py')
    model, backbone, data = config.model, config.model.backbone, config.train_dataloader
    if 'targets' in model:
        model.targets = ['first', 'second']
    if 'discriminator' in model:
        model.discriminator.num_classes = 7
    model.decode_head.update(num_classes=7, channels=32)
    if backbone.type == 'DeepLabV2ResNet':
        backbone.update(base_channels=8, stem_channels=8)
        model.decode_head.in_channels = 64 if backbone.depth == 18 else 256
    elif backbone.type == 'MixTransformer':
        backbone.update(embed_dims=8, num_layers=(1, 1, 1, 1))
        model.decode_head.in_channels = 128
    size = (64, 32) if backbone.type == 'MixTransformer' else (32, 16)
    pipelines = [data.dataset.source_pipeline, data.dataset.target_pipeline]
    for step in (step for pipeline in pipelines for step in pipeline):
        if step.type == 'Resize':
            step.scale = size
        elif step.type == 'WeakAugmentation':
            step.crop_size = size
    return dict(
        model=model,
        optim_wrapper=config.optim_wrapper,
        custom_hooks=[dict(type=hook.type) for hook in config.get('custom_hooks', [])],
        train_dataloader=dict(
            batch_size=data.batch_size,
            dataset=dict(zip(('source_pipeline', 'target_pipeline'), pipelines)),
        ),
    )


@functools.cache
def counted(settings: str, precision: str) -> Found:
    """Count once what many configs share."""
    with pytest.MonkeyPatch.context() as patch:
        for depth, block in ((18, BasicBlock), (101, Bottleneck)):
            patch.setitem(DeepLabV2ResNet.arch_settings, depth, (block, (1, 1, 1, 1)))
        counter = count_step(Config(json.loads(settings)), precision).counter
    assert counter.operations
    return Found(*(getattr(counter, name).total() for name in Found._fields))


@pytest.mark.parametrize('precision', ['tf32', 'bf16', 'fp16'])
@pytest.mark.parametrize('name', SHIPPED)
def test_every_config(name, precision):
    folder, _, stem = name.partition('/')
    method = stem if folder == 'demo' else folder
    assert counted(json.dumps(shrunken(name)), precision) == EXPECTED[method, precision]


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'precision'),
    [pytest.param(*case, marks=[] if case in QUICK else pytest.mark.thorough) for case in MOST],
)
def test_whole_steps(name, precision):
    counter = count_step(Config.fromfile(CONFIGS / f'{name}.py'), precision).counter
    assert sum(each.bytes > 0 for each in counter.operations) <= MOST[name, precision]
