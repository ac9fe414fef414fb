"""Any backbone of MMSegmentation, mmpretrain or timm: training, labelling, prediction, export."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mlcl_mmseg.deployment.export import DeployedNetwork

from ..models.conftest import random_batch  # noqa: F401

HEAD = dict(type='DeepLabV2Head', channels=32, num_classes=3, dilations=(1, 2))
VIT = dict(
    type='mmpretrain.VisionTransformer',
    arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
    img_size=32,
    patch_size=8,
    out_type='featmap',
    out_indices=(0, 1),
)
NECK = dict(
    type='MultiLevelNeck', in_channels=[16, 16], out_channels=16, scales=[2, 1], norm_cfg=None
)
NETWORKS = dict(
    mobilenet_v2=dict(
        backbone=dict(type='MobileNetV2', widen_factor=0.25, out_indices=(6,)),
        decode_head=dict(HEAD, in_channels=80),
    ),
    resnet_v1c=dict(
        backbone=dict(type='ResNetV1c', depth=18, base_channels=8, stem_channels=8),
        decode_head=dict(HEAD, in_channels=64),
    ),
    convnext=dict(
        backbone=dict(
            type='mmpretrain.ConvNeXt',
            arch=dict(depths=[1, 1, 1, 1], channels=[8, 8, 16, 16]),
            out_indices=(3,),
            gap_before_final_norm=False,
        ),
        decode_head=dict(HEAD, in_channels=16),
    ),
    timm=dict(
        backbone=dict(
            type='mmpretrain.TIMMBackbone',
            model_name='mobilenetv3_small_050',
            features_only=True,
            out_indices=[4],
        ),
        decode_head=dict(HEAD, in_channels=288),
    ),
    vit=dict(backbone=VIT, neck=NECK, decode_head=dict(HEAD, in_channels=16)),
)
METHODS = dict(
    SourceOnly={},
    AdversarialWarmup=dict(
        targets=['t0', 't1'], discriminator=dict(type='DomainDiscriminator', num_classes=3)
    ),
    MCLSegmentor=dict(targets=['t0', 't1']),
)
SGD = dict(optimizer=dict(type='SGD', lr=0.1))


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS)
def network(request):
    return request.param


@pytest.fixture(params=METHODS)
def model(request, network):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type=request.param,
            data_preprocessor=dict(
                type='MultiDomainDataPreprocessor', mean=(120, 110, 100), std=(60, 50, 55)
            ),
            test_cfg=ConfigDict(mode='whole'),
            **network,
            **METHODS[request.param],
        )
    )


def test_step_labels_prediction_export(model, random_batch):  # noqa: F811
    batch = random_batch(height=32, width=64)
    model = model.double().train()
    wrapper = SGD
    if model.separate_optimisers:
        wrapper = dict(network=SGD, discriminators=SGD)
    optim_wrapper = build_optim_wrapper(
        model, dict(wrapper, constructor='MultiTargetOptimWrapperConstructor')
    )
    before = {name: each.clone() for name, each in model.backbone.named_parameters()}
    model.data_preprocessor.forward = lambda data, training: dict(inputs=data)
    assert torch.isfinite(model.train_step(batch, optim_wrapper)['loss'])
    moved = [not torch.equal(before[n], each) for n, each in model.backbone.named_parameters()]
    # of MobileNetV2, the blocks behind the last output do not exist
    assert sum(moved) > 0.9 * len(moved)

    model.eval()
    images = batch['source']['img']
    if model.targets:
        soft = model.soft_pseudo_label(images, 1)
        torch.testing.assert_close(soft.sum(1), torch.ones_like(soft[:, 0]))
    meta = dict(ori_shape=(32, 64), img_shape=(32, 64), domain='t1')
    with torch.no_grad():
        samples = [SegDataSample(metainfo=meta) for _ in images]
        logits = torch.stack([each.seg_logits.data for each in model.predict(images, samples)])
        exported = DeployedNetwork(model)(images)
    torch.testing.assert_close(exported, logits, check_dtype=False, rtol=1e-5, atol=1e-5)


def test_a_checkpoint_of_its_own(model, tmp_path):
    state_dict = model.state_dict()
    model.load_state_dict(state_dict)
    model.require(model.starting_parts)
    model.load_state_dict(state_dict)
    name = next(name for name in state_dict if name.startswith('backbone.'))
    del state_dict[name]
    with pytest.raises(ValueError, match=f'The checkpoint has no {name} of shape'):
        model.load_state_dict(state_dict, strict=False)
