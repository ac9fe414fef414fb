"""What goes into a prediction, which head makes it, and how large it is."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn


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
            ValueError, match="t7 is not one of the targets .*evaluate_with='last_head'"
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
