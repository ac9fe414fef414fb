"""The defaults that every method inherits."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from mlcl_mmseg.errors import InputError
from mlcl_mmseg.methods import base
from mlcl_mmseg.methods.source_only import SourceOnly
from mlcl_mmseg.visualization.columns import Classes


class Twice(nn.Module):
    """A neck that doubles its features after a batch norm."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(32)
        self.batches = []

    def forward(self, levels):
        self.batches.append(len(levels[0]))
        return tuple(2 * self.norm(level) for level in levels)


@pytest.mark.parametrize('channels_last', [True, False])
def test_memory_format(build_tiny, channels_last):
    options = {} if channels_last else dict(channels_last=False)
    model, seen = build_tiny('SourceOnly', **options), []
    assert model.global_batch and model.step_is_finite
    model.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model.extract_feat(torch.rand(2, 3, 16, 24))
    for tensor in (model.backbone.conv.weight, *seen):
        assert tensor.is_contiguous(memory_format=torch.channels_last) == channels_last


def test_activations_are_recomputed_on_request(build_tiny, monkeypatch):
    asked = []
    monkeypatch.setattr(base, 'recompute_blocks', asked.append)
    build_tiny('SourceOnly')
    assert asked == []
    model = build_tiny('SourceOnly', recompute_activations=True)
    assert asked == [model.backbone]


def test_every_turn_has_a_pass_of_its_own(build_tiny, random_batch):
    model, turns = build_tiny('MCLSegmentor', backward='per_target').double(), []
    model.data_preprocessor.forward = lambda data, training: dict(inputs=data)
    loss = model.loss
    model.loss = lambda inputs, samples=None: turns.append(inputs['turn']) or loss(inputs)
    model.train_step(random_batch(), OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1)))
    assert turns == ['the source', 't0', 't1']


def test_a_neck_belongs_to_the_features(build_tiny):
    model, images = build_tiny('SourceOnly').eval(), [torch.rand(2, 3, 16, 24) for _ in range(2)]
    plain = model.extract_feat(images[0])
    model.neck = Twice().eval()
    torch.testing.assert_close(model.extract_feat(images[0])[0], 2 * plain[0], rtol=1e-4, atol=1e-5)
    model.neck.batches.clear()
    passes = model.extract_passes(images)
    assert model.neck.batches == [4]
    assert [each[0].shape for each in passes] == [(2, 32, 4, 6)] * 2
    # its batch statistics are not mixed either
    model.neck.train()
    model.extract_passes(images)
    assert model.neck.batches == [4, 2, 2]


def test_predictions_have_the_size_of_the_label(build_tiny):
    meta = dict(ori_shape=(32, 48), img_shape=(16, 24))
    samples = [SegDataSample(metainfo=meta) for _ in range(2)]
    samples[0].gt_sem_seg = PixelData(data=torch.zeros(1, 8, 12, dtype=torch.long))
    found = build_tiny('SourceOnly').eval().predict(torch.rand(2, 3, 16, 24), samples)
    assert [each.pred_sem_seg.shape for each in found] == [(8, 12), (32, 48)]
    (alone,) = build_tiny('SourceOnly').eval().predict(torch.rand(1, 3, 16, 24))
    assert alone.pred_sem_seg.shape == (16, 24)


@pytest.mark.parametrize(
    ('parts', 'remedy'),
    [(('backbone.',), 'use a checkpoint with the same backbone'), (('',), r'resume from iter_')],
)
def test_remedies_for_a_checkpoint_that_lacks_tensors(build_tiny, parts, remedy):
    model = build_tiny('SourceOnly')
    state_dict = model.state_dict()
    del state_dict['backbone.conv.weight']
    model.require(parts)
    with pytest.raises(InputError, match=f'The checkpoint has no backbone.conv.weight .*{remedy}'):
        model.load_state_dict(state_dict, strict=False)


def test_checkpoints_may_lack_what_only_training_needs(build_tiny):
    model = build_tiny('AdversarialWarmup')
    state_dict = model.state_dict()
    deployed = {k: v for k, v in state_dict.items() if not k.startswith('discriminators.')}
    model.load_state_dict(deployed)
    with pytest.raises(InputError, match='has 2 domain heads, but model.targets names 3'):
        build_tiny('AdversarialWarmup', 3).load_state_dict(state_dict)
    headless = {k: v for k, v in state_dict.items() if not k.startswith('domain_heads.')}
    with pytest.raises(InputError, match=r'The checkpoint has no domain_heads\.0'):
        model.load_state_dict(headless)


def test_columns(build_tiny, random_batch):
    batch = random_batch()
    columns = build_tiny('SourceOnly').source_columns(batch)
    assert columns['label'] == Classes(batch['source']['img'], batch['source']['label'])


@pytest.mark.parametrize('align_corners', [True, False])
def test_all_pixels_are_trusted_by_default(build_tiny, align_corners):
    model = build_tiny('AdversarialWarmup').eval()
    model.align_corners = align_corners
    images = torch.rand(2, 3, 16, 24)
    soft = model.soft_pseudo_label(images, 1)
    logits = model.domain_heads[1](model.extract_feat(images))
    torch.testing.assert_close(soft, logits.softmax(dim=1))
    assert torch.equal(model.hard_pseudo_label(soft, (4, 6)), soft.argmax(dim=1))
    large = nn.functional.interpolate(soft, (16, 24), mode='bilinear', align_corners=align_corners)
    assert torch.equal(model.hard_pseudo_label(soft, (16, 24)), large.argmax(dim=1))
    # only the width differs
    wide = nn.functional.interpolate(soft, (4, 24), mode='bilinear', align_corners=align_corners)
    assert torch.equal(model.hard_pseudo_label(soft, (4, 24)), wide.argmax(dim=1))


def test_one_network_behind_its_wrappers(build_tiny):
    model = build_tiny('SourceOnly')
    for wrapped in (model, nn.DataParallel(model)):
        assert base.segmentor_of(SimpleNamespace(model=wrapped)) is model
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    assert base.network_wrapper(wrapper) is wrapper
    assert base.network_wrapper(OptimWrapperDict(network=wrapper)) is wrapper


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('SourceOnly', SourceOnly),
        ('EncoderDecoder', base.DomainSegmentor),
        ('NoSuchSegmentor', base.DomainSegmentor),
    ],
)
def test_class_of_a_config(name, expected):
    assert base.segmentor_class(Config(dict(model=dict(type=name)))) is expected


@pytest.mark.parametrize('align_corners', [True, False])
def test_source_only_resizes_as_the_head_is_set(build_tiny, random_batch, align_corners):
    model, source = build_tiny('SourceOnly').double().eval(), random_batch()['source']
    model.align_corners = align_corners
    logits = nn.functional.interpolate(
        model.decode_head(model.extract_feat(source['img'])),
        (16, 24),
        mode='bilinear',
        align_corners=align_corners,
    )
    expected = nn.functional.cross_entropy(logits, source['label'], ignore_index=255)
    found = model.loss(dict(source=source, targets=[]))
    torch.testing.assert_close(found, {'source_only/loss_source': expected})
