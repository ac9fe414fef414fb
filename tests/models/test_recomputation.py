import copy

import pytest
import torch
from mmseg.registry import MODELS

from mlcl_mmseg.models.norms import batch_norms, passes_in_batch, separate_passes
from mlcl_mmseg.models.recomputation import recompute_blocks

BACKBONES = dict(
    resnet=dict(type='DeepLabV2ResNet', depth=50, base_channels=8, stem_channels=8),
    mit=dict(type='MixTransformer', embed_dims=8, num_heads=(1, 1, 1, 1), num_layers=(1, 1, 1, 1)),
)


@pytest.mark.parametrize('passes', [1, 2])
@pytest.mark.parametrize('name', BACKBONES)
def test_nothing_changes(name, passes):
    """Features, gradients, running statistics, and what stochastic depth draws."""
    torch.manual_seed(0)
    plain = MODELS.build(BACKBONES[name])
    separate_passes(plain)
    recomputing = copy.deepcopy(plain)
    recompute_blocks(recomputing)
    image = torch.rand(2 * passes, 3, 32, 64)
    results = []
    for backbone in (plain, recomputing):
        torch.manual_seed(1)
        with passes_in_batch(batch_norms([backbone]), passes):
            features = backbone(image)[-1]
        features.square().sum().backward()
        results.append((features, backbone))
    (expected, _), (found, _) = results
    assert torch.equal(found, expected)
    for (key, ours), theirs in zip(recomputing.named_parameters(), plain.parameters()):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=key)
    assert all(map(torch.equal, recomputing.state_dict().values(), plain.state_dict().values()))


def test_less_is_kept():
    kept = []
    for recomputes in (False, True):
        backbone = MODELS.build(BACKBONES['resnet'])
        if recomputes:
            recompute_blocks(backbone)
        sizes = []

        def pack(tensor, sizes=sizes):
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            backbone(torch.rand(2, 3, 32, 64))
        kept.append(sum(sizes))
    assert kept[1] < kept[0] / 3


def test_a_backbone_without_blocks(build_tiny):
    with pytest.raises(ValueError, match='TinyBackbone has no blocks to recompute: set it to Fals'):
        build_tiny('MCLSegmentor', recompute_activations=True)
