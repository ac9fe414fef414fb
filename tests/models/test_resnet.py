"""The dilated ResNet, and the ImageNet weights that it starts from."""

import pytest
import torch
from mmseg.registry import MODELS
from torch import nn

from mlcl_mmseg.errors import InputError
from mlcl_mmseg.models.backbones import pretrained


def test_feature_grid_rounds_up(small_resnet):
    """§1: a 160×320 input gives 21×41 features, as the released weights expect."""
    backbone = MODELS.build(small_resnet)
    (features,) = backbone(torch.rand(1, 3, 160, 320))
    assert features.shape == (1, 256, 21, 41)


def test_strides_and_dilations_of_every_block(small_resnet):
    backbone = MODELS.build(small_resnet)
    stages = [getattr(backbone, f'layer{stage}') for stage in range(1, 5)]
    assert [stage[0].conv1.stride[0] for stage in stages] == [1, 2, 1, 1]
    assert all(block.conv2.stride == (1, 1) for stage in stages for block in stage)
    for stage, dilation in zip(stages, (1, 1, 2, 4)):
        assert {block.conv2.dilation[0] for block in stage} == {dilation}


def test_a_depth_that_there_is_not(small_resnet):
    with pytest.raises(InputError, match=r'backbone.depth is 77: set it to one of 18, 34, 50, 101'):
        MODELS.build({**small_resnet, 'depth': 77})


def test_frozen_batch_norm(small_resnet):
    backbone = MODELS.build(
        {**small_resnet, 'norm_eval': True, 'norm_cfg': dict(type='BN', requires_grad=False)}
    )
    backbone.train()
    before = backbone.bn1.running_mean.clone()
    backbone(torch.rand(2, 3, 32, 32))[0].sum().backward()
    assert torch.equal(backbone.bn1.running_mean, before)
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(module.weight.grad is None and not module.training for module in norms)
    assert backbone.conv1.weight.grad is not None


class TestImageNetWeights:
    def write(self, path, small_resnet, **changes):
        torch.manual_seed(7)
        state_dict = MODELS.build(small_resnet).state_dict()
        state_dict.update({'fc.weight': torch.zeros(10, 256), 'fc.bias': torch.zeros(10)})
        for name, value in changes.items():
            state_dict.pop(name) if value is None else state_dict.update({name: value})
        torch.save(state_dict, path)
        return state_dict

    def build(self, small_resnet, checkpoint):
        init_cfg = dict(type='Pretrained', checkpoint=str(checkpoint))
        return MODELS.build({**small_resnet, 'init_cfg': init_cfg})

    def test_local_file(self, small_resnet, tmp_path):
        written = self.write(tmp_path / 'weights.pth', small_resnet)
        backbone = self.build(small_resnet, tmp_path / 'weights.pth')
        backbone.init_weights()
        for name, value in backbone.state_dict().items():
            assert torch.equal(value, written[name]), name

    def test_missing_file(self, small_resnet, tmp_path):
        backbone = self.build(small_resnet, tmp_path / 'none.pth')
        with pytest.raises(FileNotFoundError, match=r'none\.pth do not exist: correct model'):
            backbone.init_weights()

    @pytest.mark.parametrize('value', [None, torch.zeros(3)])
    def test_weights_of_another_architecture(self, small_resnet, tmp_path, value):
        self.write(tmp_path / 'other.pth', small_resnet, **{'layer4.2.conv3.weight': value})
        backbone = self.build(small_resnet, tmp_path / 'other.pth')
        with pytest.raises(
            ValueError, match=r'other\.pth does not fit .* layer4\.2\.conv3\.weight'
        ):
            backbone.init_weights()

    def test_by_name_takes_the_v1_weights(self, small_resnet, tmp_path, monkeypatch):
        asked = []

        def download(url, **kwargs):
            asked.append((url, kwargs['weights_only']))
            return self.write(tmp_path / 'weights.pth', small_resnet)

        monkeypatch.setattr(pretrained.torch.hub, 'load_state_dict_from_url', download)
        self.build(small_resnet, 'torchvision://resnet101').init_weights()
        assert asked == [('https://download.pytorch.org/models/resnet101-63fe2227.pth', True)]

    def test_by_name_without_a_network(self, small_resnet, monkeypatch):
        def fail(*args, **kwargs):
            raise pretrained.URLError('no route')

        monkeypatch.setattr(pretrained.torch.hub, 'load_state_dict_from_url', fail)
        backbone = self.build(small_resnet, 'torchvision://resnet101')
        with pytest.raises(FileNotFoundError, match='download resnet101-63fe2227.pth on a machine'):
            backbone.init_weights()
