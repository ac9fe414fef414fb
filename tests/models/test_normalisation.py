"""Mean and standard deviation by config: the same inputs in training, labelling, use and export."""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.utils._python_dispatch import TorchDispatchMode

from mlcl_mmseg.deployment.export import DeployedNetwork
from mlcl_mmseg.pseudo_labels.teacher import Teacher

# of ImageNet, in the form of MMSegmentation's configs
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
PREPROCESSOR = dict(type='MultiDomainDataPreprocessor', mean=MEAN, std=STD)
SHAPE = dict(ori_shape=(16, 24), img_shape=(16, 24), domain='t0')


@pytest.fixture
def pixels():
    """(B, 3, H, W) uint8 BGR, as loaded."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (2, 3, 16, 24), generator=generator, dtype=torch.uint8)


@pytest.fixture
def expected(pixels):
    """The inputs of the backbone by MMSegmentation's own data preprocessor."""
    theirs = SegDataPreProcessor(mean=MEAN, std=STD, bgr_to_rgb=True)
    samples = [SegDataSample(metainfo=SHAPE) for _ in pixels]
    return theirs(dict(inputs=list(pixels), data_samples=samples))['inputs']


@pytest.fixture
def model(build_tiny):
    model = build_tiny('MCLSegmentor')
    model.data_preprocessor = MODELS.build(PREPROCESSOR)
    model.data_preprocessor.leave_normalisation()
    model.seen = []
    model.backbone.register_forward_pre_hook(lambda module, inputs: model.seen.append(inputs[0]))
    return model


class Operations(TorchDispatchMode):
    """The names of the operations that run."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.name())
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize('test_cfg', [None, dict(size=(20, 32))])
def test_channels_are_converted_as_in_mmsegmentation_but_once(pixels, test_cfg):
    """With the same bits, and without an index for each image, which a device has to wait for."""
    options = dict(pad_val=7, test_cfg=test_cfg)
    theirs = SegDataPreProcessor(mean=[0] * 3, std=[255] * 3, bgr_to_rgb=True, **options)
    ours = MODELS.build(dict(type='MultiDomainDataPreprocessor', **options))
    found = []
    for preprocessor in (theirs, ours):
        samples = [SegDataSample(metainfo=SHAPE) for _ in pixels]
        with Operations() as operations:
            batch = preprocessor(dict(inputs=list(pixels), data_samples=samples))
        found.append((batch['inputs'], 'aten::index.Tensor' in operations.names))
    assert torch.equal(found[0][0], found[1][0])
    assert [indexed for _, indexed in found] == [True, False]


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_training_and_labelling(model, pixels, expected):
    sample = dict(img=pixels, label=torch.zeros(2, 16, 24, dtype=torch.uint8))
    inputs = model.data_preprocessor(dict(source=sample, targets=[]), True)['inputs']
    # style transfer and pictures work on colours
    close(inputs['source']['img'], pixels.flip(1) / 255)
    model.train()
    model.extract_passes([inputs['source']['img']])
    model.eval()
    model.soft_pseudo_label(inputs['source']['img'], 0)
    Teacher(model)(inputs['source']['img'], 1)
    assert len(model.seen) == 3
    for seen in model.seen:
        close(seen, expected)


def test_prediction_and_export(model, pixels, expected):
    samples = [SegDataSample(metainfo=SHAPE) for _ in pixels]
    data = pseudo_collate(
        [dict(inputs=image, data_samples=each) for image, each in zip(pixels, samples)]
    )
    predicted = model.eval().test_step(data)
    exported = DeployedNetwork(model)(pixels.flip(1) / 255)
    for seen in model.seen:
        close(seen, expected)
    assert len(model.seen) == 2
    close(torch.stack([each.seg_logits.data for each in predicted]), exported)


def test_an_ordinary_segmentor_of_mmsegmentation(pixels, expected):
    """It does not call normalise itself."""
    preprocessor = MODELS.build(PREPROCESSOR)
    samples = [SegDataSample(metainfo=SHAPE) for _ in pixels]
    found = preprocessor(dict(inputs=list(pixels), data_samples=samples))['inputs']
    close(found, expected)


def test_mcl_keeps_colours_from_0_to_1(build_tiny, pixels):
    model = build_tiny('MCLSegmentor')
    model.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    seen = []
    model.extract_feat(pixels.flip(1) / 255)
    assert torch.equal(seen[0], pixels.flip(1) / 255)


def test_the_settings_are_no_part_of_checkpoints(model, build_tiny):
    assert [*model.state_dict()] == [*build_tiny('MCLSegmentor').state_dict()]


@pytest.mark.parametrize('settings', [dict(std=(1, 1, 0)), dict(mean=(1, 1)), dict(std=(1,))])
def test_mistakes_are_named(settings):
    with pytest.raises(ValueError, match=r'set each to three values.*std to positive ones'):
        MODELS.build(dict(type='MultiDomainDataPreprocessor', **settings))


def test_units_are_those_of_mmsegmentation(model):
    """Of red, green, blue, from 0 to 255."""
    white = model.data_preprocessor.normalise(torch.ones(1, 3, 1, 1)).flatten()
    np.testing.assert_allclose(white, (255 - np.array(MEAN)) / STD, rtol=1e-6)
