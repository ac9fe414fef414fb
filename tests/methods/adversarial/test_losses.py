import pytest
import torch
import torch.nn.functional as F

from mlcl_mmseg.methods.adversarial.losses import SOURCE, TARGET, gan_loss, self_information


def test_self_information_by_hand():
    """−p·log2(p) / log2(C): nothing where a class is certain or impossible, at most 1 in sum."""
    logits = torch.tensor([[1000.0, 0], [0, 0], [0, 0], [0, 0]])[None, :, :, None]
    found = self_information(logits, (2, 1))
    assert found[0, :, 0, 0].tolist() == [0, 0, 0, 0]
    assert found[0, :, 1, 0].tolist() == [1 / 4] * 4


@pytest.mark.parametrize('align_corners', [True, False])
def test_logits_are_enlarged_before_the_softmax(align_corners):
    logits = torch.randn(1, 3, 2, 3, generator=torch.Generator().manual_seed(0))
    large = F.interpolate(logits, (5, 7), mode='bilinear', align_corners=align_corners)
    found = self_information(logits, (5, 7), align_corners)
    torch.testing.assert_close(found, self_information(large, (5, 7)))


@pytest.mark.parametrize(
    ('kind', 'said', 'expected'),
    [
        ('vanilla', SOURCE, 1.3132616875182228),
        ('vanilla', TARGET, 0.31326168751822286),
        ('LS', SOURCE, 1),
        ('LS', TARGET, 0),
    ],
)
def test_gan_loss_by_hand(kind, said, expected):
    assert gan_loss(torch.ones(1, 1, 2, 2), said, kind).item() == pytest.approx(expected)


def test_corners_are_aligned_by_default():
    logits = torch.randn(1, 3, 2, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(self_information(logits, (5, 7)), self_information(logits, (5, 7), True))
    assert not torch.equal(
        self_information(logits, (5, 7)), self_information(logits, (5, 7), False)
    )
