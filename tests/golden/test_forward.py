import json

import numpy as np
import pytest
import torch

from .released import (
    DATA,
    build_segmentor,
    image_tensor,
    load_seeded,
    read_case,
    released_name,
)

ABSOLUTE_TOLERANCE = 1e-3


@pytest.mark.parametrize(
    ('kind', 'num_targets', 'stage'),
    [('MCLSegmentor', 2, 'stage1'), ('AdversarialWarmup', 3, 'warm_up')],
)
def test_resnet101_logits(kind, num_targets, stage):
    case, _ = read_case(f'forward_resnet101_c7_t{num_targets}_{stage}')
    extra = {}
    if kind == 'AdversarialWarmup':
        extra['discriminator'] = dict(type='DomainDiscriminator', num_classes=7)
    model = build_segmentor(kind, num_targets, depth=101, **extra)
    load_seeded(model)
    model.eval()
    heads = list(model.domain_heads)
    if kind == 'MCLSegmentor':
        heads.append(model.decode_head)

    with torch.no_grad():
        features = model.extract_feat(image_tensor(case['image']))
        logits = {f'head{index}': head(features) for index, head in enumerate(heads)}
        if kind == 'MCLSegmentor':
            logits['ensemble'] = model.ensemble_logits([features] * num_targets)

    statistics = [features[-1].mean(), features[-1].std()]
    np.testing.assert_allclose(statistics, case['feat_mean'], atol=ABSOLUTE_TOLERANCE)
    assert set(logits) == set(case) - {'image', 'feat_mean'}
    for name, value in logits.items():
        np.testing.assert_allclose(value, case[name], rtol=0, atol=ABSOLUTE_TOLERANCE)


@pytest.mark.parametrize(
    ('kind', 'keys', 'num_targets'),
    [
        ('MCLSegmentor', 'keys_resnet101_c7_t2_stage1', 2),
        ('AdversarialWarmup', 'keys_resnet101_c7_t3_warm_up', 3),
    ],
)
def test_every_released_tensor_has_its_place(kind, keys, num_targets):
    released = json.loads((DATA / f'{keys}.json').read_text())['keys']
    extra = {}
    if kind == 'AdversarialWarmup':
        extra['discriminator'] = dict(type='DomainDiscriminator', num_classes=7)
    model = build_segmentor(kind, num_targets, depth=101, **extra)
    ours = {
        released_name(name, num_targets): list(value.shape)
        for name, value in model.state_dict().items()
        if not name.startswith('discriminators.')
    }
    assert ours == released
