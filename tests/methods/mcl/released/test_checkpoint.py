"""Released checkpoints: what is taken, what is refused."""

from collections import OrderedDict

import pytest
import torch
from mmseg.registry import MODELS

from mlcl_mmseg.errors import InputError
from mlcl_mmseg.methods.mcl.released.checkpoint import convert, find_network
from mlcl_mmseg.methods.mcl.released.names import released_names
from mlcl_mmseg.safe_load import read_checkpoint

from ....golden.released import stored_number

RESNET = dict(type='DeepLabV2ResNet', depth=18, base_channels=8, stem_channels=8)
MIT = dict(type='MixTransformer', embed_dims=8, num_layers=(1, 1, 1, 1))


def build(kind, num_targets, num_classes=7, backbone='DeepLabV2ResNet'):
    extra = dict(discriminator=dict(type='DomainDiscriminator', num_classes=num_classes))
    return MODELS.build(
        dict(
            type=kind,
            targets=[f't{index}' for index in range(num_targets)],
            backbone=RESNET if backbone == 'DeepLabV2ResNet' else MIT,
            decode_head=dict(
                type='DeepLabV2Head', in_channels=64, channels=32, num_classes=num_classes
            ),
            **(extra if kind == 'AdversarialWarmup' else {}),
        )
    )


@pytest.fixture(scope='module')
def model():
    return build('MCLSegmentor', 2)


def release(model, changes=()):
    """What the released program would store of a model."""
    state, backbone = OrderedDict(), type(model.backbone).__name__
    for name, value in model.state_dict().items():
        if name.startswith('discriminators.'):
            continue
        names = released_names(name, backbone, model.num_targets)
        parts = torch.rand(value.shape) if value.is_floating_point() else value
        third = len(value) // 3 if len(names) == 2 else 0
        state |= zip(names, parts.split([third, 2 * third]) if third else [parts])
    state.update(changes)
    kept = OrderedDict((name, value) for name, value in state.items() if value is not None)
    name = dict(DeepLabV2ResNet='ResNet18', MixTransformer='SegFormer')[backbone]
    return {name: dict(model_state=kept), 'iter': 5, 'best_iou': stored_number(61.5)}


def convert_to(model, checkpoint):
    return convert(find_network(checkpoint, 'x.pkl'), model, 'c.py')


@pytest.mark.parametrize('kind', ['MCLSegmentor', 'AdversarialWarmup'])
@pytest.mark.parametrize('num_targets', [1, 3])
def test_every_tensor_arrives(tmp_path, kind, num_targets):
    model = build(kind, num_targets)
    checkpoint = release(model)
    checkpoint['Discriminator'] = dict(model_state=OrderedDict(weight=torch.zeros(2)))
    torch.save(checkpoint, tmp_path / 'x.pkl')
    network = find_network(read_checkpoint(tmp_path / 'x.pkl'), 'x.pkl')
    assert network.left_out == ['Discriminator']
    assert (network.iteration, network.best_miou) == (5, 61.5)
    converted = convert(network, model, 'c.py')
    assert converted['meta']['dataset_meta']['classes'][0] == 'flat'
    model.load_state_dict(converted['state_dict'], strict=True)
    released = checkpoint['ResNet18']['model_state']
    for name, value in model.state_dict().items():
        if not name.startswith('discriminators.'):
            (theirs,) = released_names(name, 'DeepLabV2ResNet', num_targets)
            assert torch.equal(value, released[theirs]), name


def test_names_as_of_data_parallel(model):
    checkpoint = release(model)
    state = checkpoint['ResNet18']['model_state']
    checkpoint['ResNet18']['model_state'] = {f'module.{key}': each for key, each in state.items()}
    assert convert_to(model, checkpoint)['state_dict'].keys() == model.state_dict().keys()


@pytest.mark.parametrize(
    ('kind', 'num_targets', 'message'),
    [
        ('MCLSegmentor', 3, 'has 4 classifiers, .* warm-up for 4 .* MCL for 2, but c.py has 5:'),
        ('AdversarialWarmup', 2, 'has 4 classifiers, .*, but c.py has 2: use the config of'),
    ],
)
def test_other_targets_or_stage(model, kind, num_targets, message):
    with pytest.raises(InputError, match=message):
        convert_to(build(kind, num_targets), release(model))


def test_warmup_for_mcl_of_as_many_classifiers(model):
    """Four classifiers both, but the ensemble's is wider."""
    with pytest.raises(InputError, match=r'layer5_list\.3\.conv2d_list\.0\.0\.weight is torch.f'):
        convert_to(model, release(build('AdversarialWarmup', 4)))


def test_other_classes(model):
    other = build('MCLSegmentor', 2, num_classes=5)
    with pytest.raises(InputError, match=r'has 5 classes, but c\.py has 7: use the config'):
        convert_to(model, release(other))


def test_other_backbone(model):
    checkpoint = release(model)
    checkpoint['VGG'] = checkpoint.pop('ResNet18')
    with pytest.raises(InputError, match=r'contains VGG, but c\.py has DeepLabV2ResNet: use'):
        convert_to(model, checkpoint)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'conv1.weight': None}, r'lacks conv1\.weight, which c\.py needs: use the config'),
        (
            {'conv1.weight': torch.zeros(1, 3, 7, 7)},
            r'conv1\.weight is torch.float32 of shape .1, 3',
        ),
        ({'conv1.weight': torch.zeros(8, 3, 49)}, r'shape \(8, 3, 49\), but c.py needs .* \(8, 3,'),
        ({'bn1.weight': torch.zeros(8).long()}, r'bn1\.weight is torch.int64 of .*torch.float32'),
        ({'layer5_list.0.head.1.weight': torch.tensor(1.0)}, 'has 3 classifiers, which is a warm'),
        ({'conv1.weight': torch.eye(3).to_sparse()}, 'is damaged, conv1.weight of its ResNet18'),
        ({7: torch.zeros(1)}, 'is damaged, 7 of its ResNet18 is not a tensor'),
        (
            {'layer9.weight': torch.zeros(2)},
            r'no counterpart of layer9\.weight and 0 other tensors',
        ),
        ({'conv1.weight': 3}, r'x\.pkl is damaged, conv1.weight of its ResNet18 is not a tensor'),
    ],
)
def test_other_tensors(model, changes, message):
    with pytest.raises(InputError, match=message):
        convert_to(model, release(model, changes))


def test_figures_that_are_none(model):
    checkpoint = {**release(model), 'iter': 'x', 'best_iou': [1]}
    network = find_network(checkpoint, 'x.pkl')
    assert (network.iteration, network.best_miou) == (None, None)


def test_queries_keys_and_values():
    """MiT's are two tensors there and one here."""
    mit = build('MCLSegmentor', 1, backbone='MixTransformer')
    name = 'backbone.layers.0.1.0.attn.attn.in_proj_weight'
    query, key_value = released_names(name, 'MixTransformer', 1)
    checkpoint = release(mit)
    state = checkpoint['SegFormer']['model_state']
    found = convert_to(mit, checkpoint)['state_dict'][name]
    assert torch.equal(found, torch.cat([state[query], state[key_value]]))
    width = len(found) // 3
    state[query], state[key_value] = torch.ones(2 * width, width), torch.ones(width, width)
    with pytest.raises(InputError, match=rf'attn\.q\.weight is .* of shape \({2 * width}, '):
        convert_to(mit, checkpoint)
    state.pop(key_value)
    state[query] = torch.ones(width, width)
    with pytest.raises(InputError, match=r'lacks backbone\.block1\.0\.attn\.kv\.weight'):
        convert_to(mit, checkpoint)


@pytest.mark.parametrize(
    ('checkpoint', 'holds'),
    [
        ({'state_dict': {}, 'meta': {}}, 'it contains state_dict, meta: use one with'),
        ([1], 'it contains list'),
        (
            {'Swin': dict(model_state={})},
            'it contains Swin: use one with the tensors of one',
        ),
        ({'ResNet101': {}}, 'it contains ResNet101'),
    ],
)
def test_files_of_other_programs(checkpoint, holds):
    with pytest.raises(
        InputError, match=f"x.pkl is not a checkpoint of the authors' released code, {holds}"
    ):
        find_network(checkpoint, 'x.pkl')
