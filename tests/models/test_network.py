import pytest
import torch
from mmengine.model import BaseModule
from mmengine.runner import load_checkpoint
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from mlcl_mmseg.models.backbones import pretrained
from mlcl_mmseg.models.segmentors.multi_target import WARMUP_PARTS


@pytest.fixture
def small_resnet():
    return dict(type='DeepLabV2ResNet', depth=50, base_channels=8, stem_channels=8)


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
        with pytest.raises(FileNotFoundError, match='fetch resnet101-63fe2227.pth where there is'):
            backbone.init_weights()


def test_initialisation_of_a_head():
    """§1: convolutions N(0, 0.01), bottleneck bias 0; other biases and linears as PyTorch's."""
    head = MODELS.build(dict(type='DeepLabV2Head', in_channels=64, channels=64, num_classes=7))
    head.init_weights()
    convolutions = [module for module in head.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 7
    for module in convolutions:
        assert module.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert torch.all(head.bottleneck.conv.bias == 0)
    assert all(torch.any(branch.conv.bias != 0) for branch in head.branches)
    bound = 1 / head.squeeze_excitation.excite[0].in_features ** 0.5
    assert head.squeeze_excitation.excite[0].weight.abs().max() > 0.9 * bound
    assert head.conv_seg.bias is None
    assert head.squeeze_excitation.excite[0].out_features == 5 * 64 // 16
    assert [branch.conv.dilation[0] for branch in head.branches] == [1, 6, 12, 18, 24]


@pytest.mark.parametrize('order', [None, [1, 0, 2]])
def test_ensemble_head_takes_n_feature_maps(build_tiny, order):
    """Computed part by part it is the head on the concatenation."""
    model = build_tiny('MCLSegmentor', 3).double()
    features = [(torch.rand(2, 32, 4, 6, dtype=torch.float64),) for _ in range(3)]
    heads = [[model.domain_heads[0], model.decode_head], [], [model.domain_heads[2]]]
    logits, ensemble = model.logits_with_ensemble(heads, features, order)
    concatenated = torch.cat([features[place][0] for place in order or range(3)], dim=1)
    torch.testing.assert_close(ensemble, model.ensemble_head([concatenated]))
    for (level,), own, found in zip(features, heads, logits):
        assert len(own) == len(found)
        for head, each in zip(own, found):
            torch.testing.assert_close(each, head([level]))


@pytest.mark.parametrize('norm_eval', [True, False])
def test_passes_have_statistics_of_their_own(small_resnet, norm_eval):
    """§4: several batches as one where norms are frozen, else one after the other; never mixed."""
    model = MODELS.build(
        dict(
            type='MCLSegmentor',
            targets=['a'],
            backbone={**small_resnet, 'norm_eval': norm_eval},
            decode_head=dict(type='DeepLabV2Head', in_channels=256, channels=32, num_classes=3),
        )
    ).double()
    model.train()
    images = [torch.rand(2, 3, 32, 48, dtype=torch.float64) * scale for scale in (1, 9)]
    calls = []
    model.backbone.register_forward_hook(lambda *args: calls.append(len(args[1][0])))
    found = model.extract_passes(images)
    assert calls == ([4] if norm_eval else [2, 2])
    for image, maps in zip(images, found):
        torch.testing.assert_close(maps, model.extract_feat(image))


def sample(domain=None, label=None, ori_shape=(16, 24)):
    data_sample = SegDataSample(metainfo=dict(ori_shape=ori_shape, img_shape=(16, 24)))
    if domain is not None:
        data_sample.set_metainfo(dict(domain=domain))
    if label is not None:
        data_sample.gt_sem_seg = PixelData(data=torch.zeros(1, *label, dtype=torch.long))
    return data_sample


class TestWarmupEvaluation:
    def logits(self, model, domains):
        samples = [sample(domain) for domain in domains]
        image = torch.rand(1, 3, 16, 24).expand(len(domains), -1, -1, -1)
        return image, [each.seg_logits.data for each in model.eval().predict(image, samples)]

    def test_each_domain_with_its_own_head(self, build_tiny):
        """Q4, our default: also within one batch; an unknown domain by the last head."""
        model = build_tiny('AdversarialWarmup')
        image, (first, second, unknown) = self.logits(model, ['t0', 't1', None])
        for head, found in zip((0, 1, 1), (first, second, unknown)):
            features = model.extract_feat(image[:1])
            expected = nn.functional.interpolate(
                model.domain_heads[head](features), (16, 24), mode='bilinear', align_corners=True
            )
            torch.testing.assert_close(found, expected[0])
        assert not torch.allclose(first, second)

    def test_domains_in_any_order(self, build_tiny):
        domains = ['t1', 't0', 't0', 't1', 't1']
        _, found = self.logits(build_tiny('AdversarialWarmup'), domains)
        for domain, logits in zip(domains, found):
            torch.testing.assert_close(logits, found[domain == 't0'])

    def test_as_the_authors_validate(self, build_tiny):
        model = build_tiny('AdversarialWarmup', evaluate_with='last_head')
        _, (first, second) = self.logits(model, ['t0', 't1'])
        torch.testing.assert_close(first, second)

    def test_a_domain_that_is_no_target(self, build_tiny):
        with pytest.raises(
            ValueError, match="t7 is none of the targets .*evaluate_with='last_head'"
        ):
            self.logits(build_tiny('AdversarialWarmup'), ['t7'])


def test_prediction_has_the_size_of_the_label_or_of_the_image(build_tiny):
    model = build_tiny('MCLSegmentor').eval()
    samples = [sample(label=(8, 12), ori_shape=(32, 48)), sample(ori_shape=(32, 48))]
    with_label, without = model.predict(torch.rand(2, 3, 16, 24), samples)
    assert with_label.pred_sem_seg.shape == (8, 12)
    assert without.pred_sem_seg.shape == (32, 48)


@pytest.mark.parametrize('kind', ['AdversarialWarmup', 'MCLSegmentor', 'SourceOnly'])
def test_logits_are_enlarged_in_full_precision(build_tiny, kind):
    """In half precision there would be ties, and borders would move."""
    model = build_tiny(kind).eval()
    image = torch.rand(2, 3, 16, 24)
    with torch.no_grad():
        expected = model.predict(image, [sample(), sample()])
        with torch.autocast('cpu', torch.bfloat16):
            found = model.predict(image, [sample(), sample()])
    for one, other in zip(found, expected):
        assert one.seg_logits.data.dtype == torch.float32
        assert not torch.equal(one.seg_logits.data, other.seg_logits.data)
        torch.testing.assert_close(one.seg_logits.data, other.seg_logits.data, rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(gan='wasserstein'), "model.gan is 'wasserstein', but it is one of vanilla, LS"),
        (dict(evaluate_with='all'), "model.evaluate_with is 'all'"),
    ],
)
def test_unknown_options(build_tiny, change, message):
    with pytest.raises(ValueError, match=message):
        build_tiny('AdversarialWarmup', **change)


@pytest.mark.parametrize(
    ('targets', 'message'),
    [
        ([], 'name one or more domains, each once'),
        (['idd', 'idd'], 'name one or more domains, each once'),
        (['glossy'], "domain 'glossy' has 'loss' in its name"),
    ],
)
def test_names_of_targets(targets, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(type='MCLSegmentor', targets=targets, backbone={}, decode_head={}))


class TestCheckpoints:
    def test_mcl_takes_backbone_and_domain_heads_of_the_warmup(self, build_tiny, tmp_path):
        warmup, model = build_tiny('AdversarialWarmup'), build_tiny('MCLSegmentor')
        for parameter in warmup.parameters():
            nn.init.normal_(parameter)
        # as PseudoLabelHook does when a training starts
        model.needed_parts = WARMUP_PARTS
        agnostic = model.decode_head.conv_seg.weight.clone()
        torch.save(dict(state_dict=warmup.state_dict()), tmp_path / 'warmup.pth')
        load_checkpoint(model, str(tmp_path / 'warmup.pth'), map_location='cpu')
        loaded = dict(model.state_dict())
        for name, value in warmup.state_dict().items():
            if not name.startswith('discriminators.'):
                assert torch.equal(loaded[name], value), name
        assert torch.equal(model.decode_head.conv_seg.weight, agnostic)

    def test_a_warmup_loads_strictly_with_all_discriminators_or_none(self, build_tiny):
        checkpoint = build_tiny('AdversarialWarmup').state_dict()
        model = build_tiny('AdversarialWarmup')
        model.load_state_dict(checkpoint)
        del checkpoint['discriminators.0.conv1.weight']
        with pytest.raises(RuntimeError, match=r'discriminators\.0\.conv1\.weight'):
            model.load_state_dict(checkpoint)
        for name in [name for name in checkpoint if name.startswith('discriminators.')]:
            del checkpoint[name]
        model.load_state_dict(checkpoint)

    def test_another_number_of_heads(self, build_tiny):
        checkpoint = build_tiny('AdversarialWarmup', 3).state_dict()
        with pytest.raises(ValueError, match=r'has 3 domain heads, but model.targets names 2'):
            build_tiny('MCLSegmentor', 2).load_state_dict(checkpoint, strict=False)

    def test_without_domain_heads(self, build_tiny):
        """A source-only checkpoint, or any file: MMEngine would go on with random heads."""
        model = build_tiny('MCLSegmentor')
        model.needed_parts = WARMUP_PARTS
        for checkpoint in (build_tiny('SourceOnly').state_dict(), dict(foo=torch.zeros(1))):
            with pytest.raises(ValueError, match=r'has no (backbone|domain_heads)\..* of shape'):
                model.load_state_dict(checkpoint, strict=False)

    def test_another_architecture(self, build_tiny):
        checkpoint = build_tiny('AdversarialWarmup').state_dict()
        checkpoint['domain_heads.1.bottleneck.conv.weight'] = torch.zeros(1)
        with pytest.raises(ValueError, match=r'no domain_heads.1.bottleneck.conv.weight of shape'):
            build_tiny('AdversarialWarmup').load_state_dict(checkpoint, strict=False)

    def test_source_only_of_another_label_space(self, build_tiny):
        checkpoint = build_tiny('SourceOnly', num_classes=5).state_dict()
        with pytest.raises(ValueError, match=r'has 5 classes, but the model has 3'):
            build_tiny('SourceOnly').load_state_dict(checkpoint, strict=False)

    def test_another_label_space(self, build_tiny):
        checkpoint = build_tiny('AdversarialWarmup', num_classes=5).state_dict()
        with pytest.raises(ValueError, match=r'has 5 classes, but the model has 3'):
            build_tiny('MCLSegmentor').load_state_dict(checkpoint, strict=False)


def test_discriminators_are_frozen_and_a_quarter_of_a_quarter(build_tiny):
    model = build_tiny('AdversarialWarmup')
    assert isinstance(model.discriminators[0], BaseModule)
    assert not any(each.requires_grad for each in model.discriminators.parameters())
    assert model.discriminators[0](torch.rand(2, 3, 40, 72)).shape == (2, 1, 3, 5)


def test_preprocessing_is_rgb_from_0_to_1(build_tiny):
    bgr = torch.tensor([255, 51, 0], dtype=torch.uint8)[None, :, None, None].expand(2, 3, 4, 4)
    label = torch.full((2, 4, 4), 255, dtype=torch.uint8)
    batch = dict(source=dict(img=bgr, label=label), targets=[dict(img=bgr, strong_img=bgr)])
    prepared = build_tiny('MCLSegmentor').data_preprocessor(batch, True)['inputs']
    expected = torch.tensor([0, 0.2, 1])
    for image in (prepared['source']['img'], *prepared['targets'][0].values()):
        torch.testing.assert_close(image[0, :, 0, 0], expected)
    assert prepared['source']['label'].dtype == torch.int64

    tested = build_tiny('MCLSegmentor').data_preprocessor(
        dict(inputs=[bgr[0]], data_samples=[sample()]), False
    )
    torch.testing.assert_close(tested['inputs'][0, :, 0, 0], expected)


def test_images_of_different_sizes_cannot_be_predicted_together(build_tiny):
    images = [torch.zeros(3, 4, 6, dtype=torch.uint8), torch.zeros(3, 5, 6, dtype=torch.uint8)]
    with pytest.raises(ValueError, match='one batch are 6x4 and 6x5: .* set the batch_size to 1'):
        build_tiny('MCLSegmentor').data_preprocessor(
            dict(inputs=images, data_samples=[sample(), sample()]), False
        )
