import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcl_mmseg.models.decode_heads.dilated_convolution import dilated_convolution, useful_share

small = st.integers(1, 9)


@settings(max_examples=60, deadline=None)
@given(small, small, st.integers(1, 10), st.integers(1, 2), st.booleans())
def test_windows_are_a_convolution(height, width, dilation, batch, channels_last):
    """Values and both gradients, at any size, also where only the middle tap sees anything."""
    generator = torch.Generator().manual_seed(height * 100 + width)
    features = torch.randn(batch, 3, height, width, generator=generator, dtype=torch.float64)
    weight = torch.randn(4, 3, 3, 3, generator=generator, dtype=torch.float64)
    if channels_last:
        features, weight = (
            each.contiguous(memory_format=torch.channels_last) for each in (features, weight)
        )

    def result(convolve):
        inputs = [each.clone().requires_grad_() for each in (features, weight)]
        outputs = convolve(*inputs)
        outputs.sin().sum().backward()
        return outputs.detach(), *(each.grad for each in inputs)

    found = result(lambda x, w: dilated_convolution(x, w, dilation, window_share=2))
    expected = result(lambda x, w: F.conv2d(x, w, padding=dilation, dilation=dilation))
    for ours, theirs in zip(found, expected):
        torch.testing.assert_close(ours, theirs)


@settings(max_examples=60, deadline=None)
@given(small, small, st.integers(1, 10))
def test_useful_share_counts_what_is_not_padding(height, width, dilation):
    inside = F.conv2d(
        torch.ones(1, 1, height, width), torch.ones(1, 1, 3, 3), padding=dilation, dilation=dilation
    )
    share = useful_share((height, width), dilation)
    assert share == pytest.approx(inside.sum().item() / (9 * height * width))


@pytest.mark.parametrize('dilation', [6, 12, 18, 24])
def test_crops_of_7_classes_take_windows_from_dilation_12_on(dilation):
    assert (useful_share((21, 41), dilation) < 0.6) == (dilation > 6)
