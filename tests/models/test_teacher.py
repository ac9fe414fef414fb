"""Pseudo-labels in the step are those of the files, where both see the same image."""

import numpy as np
import pytest
import torch
from mmseg.registry import TRANSFORMS

from mlcl_mmseg.models.losses import resize_logits
from mlcl_mmseg.pseudo_labels.encoding import decode, encode
from mlcl_mmseg.pseudo_labels.teacher import Teacher

SIZE = 96, 64


@pytest.fixture
def model(build_tiny):
    """With heads that are certain of something."""
    model = build_tiny('MCLSegmentor')
    with torch.no_grad():
        for head in model.domain_heads:
            head.conv_seg.weight *= 500
    # running statistics are those of no image until the network has trained
    model.extract_feat(torch.rand(4, 3, 64, 96))
    return model


def stored(model, image, index):
    """Soft pseudo-labels by way of the store and the loader, the crop being the whole image."""
    weak = dict(type='WeakAugmentation', crop_size=SIZE, scale_range=(1, 1), flip_prob=0)
    for each in model.eval().soft_pseudo_label(image, index):
        sample = dict(img=np.zeros((*SIZE[::-1], 3), np.uint8), img_path='')
        sample['soft_pseudo_label'] = decode(encode(each.numpy()))
        yield torch.from_numpy(TRANSFORMS.build(weak)(sample)['soft_pseudo_label'])


def test_one_step_as_with_files(model, random_batch):
    batch = random_batch(height=64, width=96)
    for part in (batch['source'], *batch['targets']):
        for key in ('img', 'strong_img'):
            if key in part:
                part[key] = part[key].float()
    files, teacher = dict(source=batch['source']), dict(source=batch['source'])
    files['targets'] = [
        {**target, 'soft_pseudo_label': torch.stack([*stored(model, target['img'], index)])}
        for index, target in enumerate(batch['targets'])
    ]
    teacher['targets'] = [
        {key: value for key, value in target.items() if key != 'soft_pseudo_label'}
        for target in batch['targets']
    ]
    model.teacher = Teacher(model)
    for index, (one, other) in enumerate(zip(files['targets'], teacher['targets'])):
        soft = resize_logits(model.teacher(other['img'], index), SIZE[::-1])
        # the loader's are on the label grid
        soft = resize_logits(soft, one['soft_pseudo_label'].shape[2:])
        torch.testing.assert_close(soft, one['soft_pseudo_label'], rtol=0, atol=1 / 255)
        agree = model.pseudo_label(index, one) == model.pseudo_label(index, other)
        assert agree.float().mean() > 0.99
    model.train()
    expected, found = (
        {key: value.item() for key, value in model.loss(each).items()} for each in (files, teacher)
    )
    assert found == pytest.approx(expected, rel=1e-2)
    assert 0.2 < found['mcl/kept_pixels/t0'] < 1


def test_it_stays_what_it_was(model):
    """Whatever becomes of the network; and it is no part of it."""
    image = torch.rand(1, 3, 64, 96)
    model.teacher = Teacher(model)
    expected = model.teacher(image, 1)
    names = set(model.state_dict())
    model.train()
    model.extract_feat(image)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1
    assert torch.equal(model.teacher(image, 1), expected)
    assert set(model.state_dict()) == names
    network = model.teacher.network
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(module.training for module in network.modules())
    assert {name for name, _ in network.named_children()} == {
        'data_preprocessor',
        'backbone',
        'domain_heads',
    }
