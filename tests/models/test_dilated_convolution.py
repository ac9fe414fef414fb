import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

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

    found = result(lambda x, w: dilated_convolution(x, [w], dilation, window_share=2))
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


def test_several_convolutions_of_the_same_features():
    """Results lie one after the other, and each weight has its own gradient."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 3, 5, 7, generator=generator, dtype=torch.float64)
    weights = [
        torch.randn(width, 3, 3, 3, generator=generator, dtype=torch.float64, requires_grad=True)
        for width in (1, 4)
    ]
    results = {}
    for window_share in (0, 1):
        found = dilated_convolution(features, weights, 3, window_share)
        results[window_share] = found, *torch.autograd.grad(found.sin().sum(), weights)
    torch.testing.assert_close(results[0], results[1])
    alone = dilated_convolution(features, weights[1:], 3, 1)
    torch.testing.assert_close(results[1][0][:, 1:], alone)


@pytest.mark.parametrize(('device', 'window'), [('cpu', True), ('cuda', False)])
def test_windows_by_default_on_cpus(device, window):
    with FakeTensorMode():
        features, weight = (
            torch.ones(2, 2, length, length, device=device, requires_grad=True) for length in (4, 3)
        )
        function = dilated_convolution(features, [weight], 1, None).grad_fn
    assert ('Permute' in function.name()) == window
