import pytest
import torch
import torch.nn.functional as F

from mlcl_mmseg.errors import InputError
from mlcl_mmseg.methods.adversarial.losses import gan_loss, self_information


@pytest.mark.parametrize('align_corners', [True, False])
def test_losses_resize_as_the_head_is_set(build_tiny, random_batch, align_corners):
    model = build_tiny('AdversarialWarmup', gan='LS', adversarial_weight=3.0).double().eval()
    model.align_corners = align_corners
    batch = random_batch()
    found = model.loss(batch)

    def logits(index, domain):
        small = model.domain_heads[index](model.extract_feat(domain['img']))
        return F.interpolate(small, (16, 24), mode='bilinear', align_corners=align_corners)

    for i, target in enumerate(batch['targets']):
        on_source = logits(i, batch['source'])
        source_loss = F.cross_entropy(on_source, batch['source']['label'], ignore_index=255)
        torch.testing.assert_close(found[f'warmup/loss_source/t{i}'], source_loss)
        maps = [self_information(each, (16, 24)) for each in (on_source, logits(i, target))]
        for stored, expected in zip(model.self_information_maps, maps):
            torch.testing.assert_close(stored[i], expected)
        fooled = gan_loss(model.discriminators[i](maps[1]), 0.0, 'LS')
        torch.testing.assert_close(found[f'warmup/loss_adversarial/t{i}'], 3 * fooled)


def test_the_turns_add_up_to_the_whole_loss(build_tiny, random_batch):
    """The losses, and the maps that are stored for the discriminators."""
    model = build_tiny('AdversarialWarmup', backward='per_target').double().eval()
    assert [*model.turns] == ['t0', 't1', 'the source']
    batch, found = random_batch(), {}
    whole = model.loss(batch)
    maps = [[*each] for each in model.self_information_maps]
    for stored in model.self_information_maps:
        stored[:] = [torch.empty(0)] * 2
    for turn in model.turns:
        found.update(model.loss(dict(batch, turn=turn)))
    torch.testing.assert_close(found, {name: whole[name] for name in found})
    assert {*found} == {*whole}
    torch.testing.assert_close([*model.self_information_maps], maps)


@pytest.mark.parametrize('num_targets', [1, 2, 3])
def test_the_decode_head_is_the_last_one(build_tiny, num_targets):
    model = build_tiny('AdversarialWarmup', num_targets)
    assert model.decode_head is model.domain_heads[num_targets - 1]


def test_settings_of_every_segmentor_are_passed_on(build_tiny):
    assert not build_tiny('AdversarialWarmup', global_batch=False).global_batch


def test_heads_of_another_stage_without_a_backbone(build_tiny):
    heads = {'decode_head.conv_seg.weight': torch.zeros(3)}
    heads |= {f'domain_heads.{i}.conv_seg.weight': torch.zeros(3) for i in range(2)}
    with pytest.raises(InputError, match='AdversarialWarmup has only domain heads'):
        build_tiny('AdversarialWarmup').check_checkpoint(heads)
