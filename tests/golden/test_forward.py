import numpy as np
import pytest
import torch

from mlcl_mmseg.methods.mcl.released.checkpoint import convert, find_network

from .released import build_segmentor, image_tensor, read_case, released_checkpoint, resnet

ABSOLUTE_TOLERANCE = 1e-3


@pytest.mark.parametrize(
    ('name', 'kind', 'num_targets', 'backbone', 'num_classes'),
    [
        ('resnet101_c7_t2_stage1', 'MCLSegmentor', 2, resnet(101), 7),
        ('resnet101_c7_t3_warm_up', 'AdversarialWarmup', 3, resnet(101), 7),
        ('vgg16_c7_t2_stage1', 'MCLSegmentor', 2, dict(type='DeepLabV2VGG'), 7),
        ('mitb5_c19_t2_stage1', 'MCLSegmentor', 2, dict(type='MixTransformer'), 19),
    ],
)
def test_converted_weights_give_the_released_logits(name, kind, num_targets, backbone, num_classes):
    case, _ = read_case(f'forward_{name}')
    model = build_segmentor(kind, num_targets, backbone, num_classes)
    network = find_network(released_checkpoint(name), 'x.pkl')
    model.load_state_dict(convert(network, model, 'config.py')['state_dict'], strict=True)
    model.eval()
    heads = list(model.domain_heads)
    if kind == 'MCLSegmentor':
        heads.append(model.decode_head)

    with torch.no_grad():
        features = model.extract_feat(image_tensor(case['image']))
        logits = {f'head{index}': head(features) for index, head in enumerate(heads)}
        if kind == 'MCLSegmentor':
            logits['ensemble'] = model.ensemble_head(
                [torch.cat([features[-1]] * num_targets, dim=1)]
            )

    statistics = [features[-1].mean(), features[-1].std()]
    np.testing.assert_allclose(statistics, case['feat_mean'], atol=ABSOLUTE_TOLERANCE)
    assert set(logits) == set(case) - {'image', 'feat_mean'}
    for head, value in logits.items():
        np.testing.assert_allclose(value, case[head], rtol=0, atol=ABSOLUTE_TOLERANCE)
