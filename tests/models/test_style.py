import cv2
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcl_mmseg.models.style import lab_to_rgb, reinhard_transfer, rgb_to_lab


def images(seed, batch=2, height=12, width=16):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (batch, 3, height, width), generator=generator).float() / 255


def to_opencv(image):
    return image.mul(255).round().byte().permute(1, 2, 0).numpy()


def test_the_colour_space_is_opencvs():
    image = images(0, batch=1, height=64, width=64)
    expected = cv2.cvtColor(to_opencv(image[0]), cv2.COLOR_RGB2LAB).astype(float)
    found = rgb_to_lab(image)[0].permute(1, 2, 0).numpy()
    assert np.abs(found - expected).max() < 2.5
    assert np.abs(found - expected).mean() < 0.35


def test_there_and_back():
    image = images(1)
    torch.testing.assert_close(lab_to_rgb(rgb_to_lab(image)), image, atol=2e-4, rtol=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_each_pair_by_itself_and_within_range(first, second):
    content, style = images(first), images(second)
    result = reinhard_transfer(content, style)
    assert result.min() >= 0
    assert result.max() <= 1
    torch.testing.assert_close(result * 255, (result * 255).round(), atol=1e-3, rtol=0)
    for index in range(2):
        alone = reinhard_transfer(content[index : index + 1], style[index : index + 1])
        torch.testing.assert_close(result[index : index + 1], alone, atol=1.5 / 255, rtol=0)


def test_statistics_become_those_of_the_style():
    # muted colours, so that nothing leaves the gamut
    content, style = images(2) * 0.2 + 0.4, images(3) * 0.15 + 0.3
    found, wanted = rgb_to_lab(reinhard_transfer(content, style)), rgb_to_lab(style)
    torch.testing.assert_close(found.mean((2, 3)), wanted.mean((2, 3)), atol=1, rtol=0)
    torch.testing.assert_close(found.std((2, 3)), wanted.std((2, 3)), atol=1, rtol=0)


def test_a_constant_channel_takes_the_styles_mean():
    grey = torch.full((1, 3, 8, 8), 0.5)
    style = images(4, batch=1) * 0.2 + 0.4
    result = reinhard_transfer(grey, style)
    assert torch.isfinite(result).all()
    assert result.flatten(2).std(-1).max() == 0
    wanted = rgb_to_lab(style).mean((2, 3))
    torch.testing.assert_close(rgb_to_lab(result).mean((2, 3)), wanted, atol=1.5, rtol=0)


def test_no_gradient():
    assert not reinhard_transfer(images(0).requires_grad_(), images(1)).requires_grad
