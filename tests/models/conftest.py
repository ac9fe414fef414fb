import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.model import BaseModule
from mmseg.registry import MODELS

from mlcl_mmseg.methods.base import MultiTargetSegmentor


@MODELS.register_module()
class TinyBackbone(BaseModule):
    """One convolution to 32 channels at a quarter of the size, with batch norm."""

    def __init__(self, channels=32, init_cfg=None):
        super().__init__(init_cfg)
        self.conv = torch.nn.Conv2d(3, channels, 4, stride=4)
        self.norm = torch.nn.BatchNorm2d(channels)

    def forward(self, inputs):
        return (torch.tanh(self.norm(self.conv(inputs))),)


@pytest.fixture
def small_resnet():
    return dict(type='DeepLabV2ResNet', depth=50, base_channels=8, stem_channels=8)


@pytest.fixture
def build_tiny():
    """Build a segmentor of any stage on TinyBackbone."""

    def build(kind, num_targets=2, num_classes=3, **kwargs):
        targets = (
            dict(targets=[f't{i}' for i in range(num_targets)])
            if issubclass(MODELS.get(kind), MultiTargetSegmentor)
            else {}
        )
        if kind == 'AdversarialWarmup':
            kwargs.setdefault(
                'discriminator', dict(type='DomainDiscriminator', num_classes=num_classes)
            )
        torch.manual_seed(1)
        return MODELS.build(
            dict(
                type=kind,
                **targets,
                data_preprocessor=dict(type='MultiDomainDataPreprocessor'),
                backbone=dict(type='TinyBackbone'),
                decode_head=dict(
                    type='DeepLabV2Head',
                    in_channels=32,
                    channels=32,
                    num_classes=num_classes,
                    dilations=(1, 2),
                    dropout_ratio=0,
                ),
                test_cfg=ConfigDict(mode='whole'),
                **kwargs,
            )
        )

    return build


@pytest.fixture
def random_batch():
    """A prepared batch of random float64 images, labels and pseudo-labels, some pixels ignored."""

    def make(num_targets=2, num_classes=3, batch=2, height=16, width=24, seed=0):
        generator = torch.Generator().manual_seed(seed)
        random = lambda *shape: torch.rand(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
        label = torch.randint(num_classes + 1, (batch, height, width), generator=generator)
        label[label == num_classes] = 255

        def target():
            logits = 6 * random(batch, num_classes, height, width)
            flip = torch.tensor([[-1.0, 0, width], [0, 1, 0]])
            return dict(
                img=random(batch, 3, height, width),
                strong_img=random(batch, 3, height, width),
                soft_pseudo_label=logits.softmax(1),
                strong_affine=torch.stack([flip, torch.eye(3)[:2]])[:batch],
                strong_cutout=torch.tensor([[4, 4, 12, 12]] * batch),
            )

        source = dict(img=random(batch, 3, height, width), label=label)
        return dict(source=source, targets=[target() for _ in range(num_targets)])

    return make
