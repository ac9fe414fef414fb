"""Any decode head of MMSegmentation is a domain head: trained, refreshed, stripped, used."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.registry import MODELS

from mlcl_mmseg.deployment.export import DeployedNetwork, differences, export, read_export
from mlcl_mmseg.deployment.predictor import Predictor
from mlcl_mmseg.deployment.segmentor import load_segmentor
from mlcl_mmseg.deployment.strip import strip
from mlcl_mmseg.models.decode_heads import head_logits, logits_of_passes, widened
from mlcl_mmseg.safe_load import read_checkpoint

from ..small_run import load_config

BACKBONE = dict(
    type='ResNetV1c',
    depth=18,
    base_channels=8,
    stem_channels=8,
    strides=(1, 2, 2, 1),
    norm_cfg=dict(type='BN'),
)
CHANNELS = [8, 16, 32, 64]
COMMON = dict(num_classes=7, channels=16, norm_cfg=dict(type='BN'), align_corners=False)
HEADS = dict(
    FCNHead=dict(type='FCNHead', in_channels=64, in_index=3, num_convs=1, **COMMON),
    SegformerHead=dict(type='SegformerHead', in_channels=CHANNELS, in_index=[0, 1, 2, 3], **COMMON),
    UPerHead=dict(
        type='UPerHead',
        in_channels=CHANNELS,
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2),
        **COMMON,
    ),
)


def small_stage(stage: str, tmp_path: Path, head: dict, max_iters: int, **options) -> Config:
    config = load_config(stage, tmp_path / stage, max_iters, 1, **options)
    config.model.backbone = BACKBONE
    config.model.decode_head = head
    for step in config.train_dataloader.dataset.target_pipeline:
        if step.type == 'WeakAugmentation':
            step.align_corners = head['align_corners']
    return config


@pytest.mark.slow
@pytest.mark.parametrize('head', HEADS.values(), ids=HEADS)
def test_a_whole_life(head, tmp_path, toy_data, monkeypatch):
    monkeypatch.setenv('MLCL_REAL_DATA', str(toy_data))
    warmup = small_stage('warmup', tmp_path, head, 1)
    Runner.from_cfg(warmup).train()
    (best,) = Path(warmup.work_dir).glob('best_mIoU_iter_*.pth')
    options = {'custom_hooks.0.interval': 1, 'load_from': str(best)}
    mcl = small_stage('mlcl', tmp_path, head, 2, **options)
    runner = Runner.from_cfg(mcl)
    runner.train()
    # of the start and of the refresh
    generations = sorted(each.name for each in Path(mcl.work_dir, 'pseudo_labels').iterdir())
    assert generations == ['iter_0', 'iter_1']
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert np.isfinite(losses).all()

    (best,) = Path(mcl.work_dir).glob('best_mIoU_iter_*.pth')
    stripped = tmp_path / 'stripped.pth'
    torch.save(strip(read_checkpoint(best), str(best)), stripped)
    names = torch.load(stripped)['state_dict']
    assert {name.split('.')[0] for name in names} == {'backbone', 'decode_head'}
    mcl.load_from = str(stripped)
    mcl.work_dir = str(tmp_path / 'test')
    assert 0 <= Runner.from_cfg(mcl).test()['mIoU'] <= 100

    model = load_segmentor(mcl, str(stripped))
    image = np.random.default_rng(0).integers(0, 255, (32, 64, 3), np.uint8)
    mcl.test_pipeline = mcl.val_dataloader.dataset.pipeline
    predictor = Predictor(model, mcl)
    (prediction,) = predictor.stream([image])
    assert prediction.index.shape == (32, 64)
    colours = torch.from_numpy(image[..., ::-1] / np.float32(255)).permute(2, 0, 1)
    exported = DeployedNetwork(model, 'index')(colours[None])
    assert np.array_equal(exported[0], prediction.index)
    export(DeployedNetwork(model), tmp_path / 'network.pt2', 'torch', (32, 64), {})
    program = read_export(tmp_path / 'network.pt2', 'torch')
    for _, difference in differences(DeployedNetwork(model), program, (32, 64)):
        assert difference < 1e-4


@pytest.mark.parametrize('head', HEADS.values(), ids=HEADS)
def test_a_wide_head_sees_all_passes_in_order(head):
    """Level by level, the passes lie along the channels in the order of their places."""
    torch.manual_seed(0)
    heads = [MODELS.build(head).double().eval() for _ in range(2)]
    wide = MODELS.build(widened(head, 2)).double().eval()
    sizes = (16, 8, 4, 4)
    passes = [
        [torch.rand(2, channels, size, size).double() for channels, size in zip(CHANNELS, sizes)]
        for _ in range(2)
    ]
    logits, (found,) = logits_of_passes(passes, [[heads[0]], [heads[1]]], wide, [[1, 0]])
    joined = [torch.cat(levels, 1) for levels in zip(passes[1], passes[0])]
    torch.testing.assert_close(found, wide(joined))
    for own, levels, (each,) in zip(heads, passes, logits):
        torch.testing.assert_close(each, own(levels))
    several = head_logits(heads, passes[0])
    torch.testing.assert_close(several, [own(passes[0]) for own in heads])
