"""Which checkpoints a segmentor takes."""

import pytest
import torch
from mmengine.runner import load_checkpoint
from torch import nn


def test_mcl_takes_backbone_and_domain_heads_of_the_warmup(build_tiny, tmp_path):
    warmup, model = build_tiny('AdversarialWarmup'), build_tiny('MCLSegmentor')
    for parameter in warmup.parameters():
        nn.init.normal_(parameter)
    # as PseudoLabelHook does when a training starts
    model.require(model.starting_parts)
    agnostic = model.decode_head.conv_seg.weight.clone()
    torch.save(dict(state_dict=warmup.state_dict()), tmp_path / 'warmup.pth')
    load_checkpoint(model, str(tmp_path / 'warmup.pth'), map_location='cpu')
    loaded = dict(model.state_dict())
    for name, value in warmup.state_dict().items():
        if not name.startswith('discriminators.'):
            assert torch.equal(loaded[name], value), name
    assert torch.equal(model.decode_head.conv_seg.weight, agnostic)


def test_a_warmup_loads_strictly_with_all_discriminators_or_none(build_tiny):
    checkpoint = build_tiny('AdversarialWarmup').state_dict()
    model = build_tiny('AdversarialWarmup')
    model.load_state_dict(checkpoint)
    del checkpoint['discriminators.0.conv1.weight']
    with pytest.raises(RuntimeError, match=r'discriminators\.0\.conv1\.weight'):
        model.load_state_dict(checkpoint)
    for name in [name for name in checkpoint if name.startswith('discriminators.')]:
        del checkpoint[name]
    model.load_state_dict(checkpoint)


def test_another_number_of_heads(build_tiny):
    checkpoint = build_tiny('AdversarialWarmup', 3).state_dict()
    with pytest.raises(ValueError, match=r'has 3 domain heads, but model.targets names 2'):
        build_tiny('MCLSegmentor', 2).load_state_dict(checkpoint, strict=False)


def test_a_checkpoint_of_the_stage_after(build_tiny):
    checkpoint = build_tiny('MCLSegmentor').state_dict()
    with pytest.raises(ValueError, match='has only domain heads: use the config that'):
        build_tiny('AdversarialWarmup').load_state_dict(checkpoint, strict=False)


def test_without_domain_heads(build_tiny):
    """A source-only checkpoint, or any file: MMEngine would go on with random heads."""
    model = build_tiny('MCLSegmentor')
    model.require(model.starting_parts)
    for checkpoint in (build_tiny('SourceOnly').state_dict(), dict(foo=torch.zeros(1))):
        with pytest.raises(ValueError, match=r'has no (backbone|domain_heads)\..* of shape'):
            model.load_state_dict(checkpoint, strict=False)


def test_another_architecture(build_tiny):
    checkpoint = build_tiny('AdversarialWarmup').state_dict()
    checkpoint['domain_heads.1.bottleneck.conv.weight'] = torch.zeros(1)
    with pytest.raises(ValueError, match=r'no domain_heads.1.bottleneck.conv.weight of shape'):
        build_tiny('AdversarialWarmup').load_state_dict(checkpoint, strict=False)


def test_source_only_of_another_label_space(build_tiny):
    checkpoint = build_tiny('SourceOnly', num_classes=5).state_dict()
    with pytest.raises(ValueError, match=r'has 5 classes, but the model has 3'):
        build_tiny('SourceOnly').load_state_dict(checkpoint, strict=False)


def test_another_label_space(build_tiny):
    checkpoint = build_tiny('AdversarialWarmup', num_classes=5).state_dict()
    with pytest.raises(ValueError, match=r'has 5 classes, but the model has 3'):
        build_tiny('MCLSegmentor').load_state_dict(checkpoint, strict=False)
