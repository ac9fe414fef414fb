import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from mmseg.registry import TRANSFORMS
from PIL import Image

from mlcl_mmseg.datasets.transforms.weak import resize_image_crop
from mlcl_mmseg.pseudo_labels import label_grid

TOLERANCE = 1e-5


def build(crop_size, **options):
    return TRANSFORMS.build(dict(type='WeakAugmentation', crop_size=crop_size, **options))


def pillow_resize(array, size, resample):
    return np.asarray(Image.fromarray(array).resize(size, resample))


def find_crop(crop, whole):
    """Where ``crop`` was cut from ``whole`` (H, W, 3): the slices of rows and columns."""
    height, width = crop.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(whole, (height, width, 3))[:, :, 0]
    ((top, left),) = np.argwhere((windows == crop).all((2, 3, 4)))
    return slice(top, top + height), slice(left, left + width)


def upsample(soft, size, align_corners):
    return F.interpolate(soft, size, mode='bilinear', align_corners=align_corners)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_image_label_and_soft_label_get_the_same_geometry(data):
    """Against the slow way: resize everything to the full size, then crop, then flip."""
    draw = data.draw
    width, height = draw(st.integers(24, 48)), draw(st.integers(24, 48))
    scale = draw(st.floats(0.5, 1.5))
    scaled = int(scale * width), int(scale * width) * height // width
    crop_size = draw(st.integers(8, scaled[0])), draw(st.integers(8, scaled[1]))
    feature_size = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    flip, corners = draw(st.booleans()), draw(st.booleans())
    seed = draw(st.integers(0, 2**32 - 1))

    generator = np.random.default_rng(seed)
    image = generator.integers(0, 256, (height, width, 3), np.uint8)
    label = generator.integers(0, 256, (height, width), np.uint8)
    soft = generator.random((3, *feature_size), np.float32)
    transform = build(
        crop_size, scale_range=(scale, scale), flip_prob=float(flip), align_corners=corners
    )
    np.random.seed(seed)
    result = transform(
        dict(img=image, gt_seg_map=label, soft_pseudo_label=soft, img_path='image.png')
    )

    mirror = -1 if flip else 1
    full_image = pillow_resize(image, scaled, Image.Resampling.BILINEAR)
    rows, columns = find_crop(result['img'][:, ::mirror], full_image)
    full_label = pillow_resize(label, scaled, Image.Resampling.NEAREST)
    np.testing.assert_array_equal(result['gt_seg_map'], full_label[rows, columns][:, ::mirror])
    at_working_size = upsample(torch.from_numpy(soft)[None], (height, width), corners)
    full_soft = upsample(at_working_size, scaled[::-1], corners)[0]
    crop = full_soft[:, rows, columns].flip(2) if flip else full_soft[:, rows, columns]
    np.testing.assert_allclose(
        result['soft_pseudo_label'],
        upsample(crop[None], label_grid(crop_size[::-1]), corners)[0].numpy(),
        rtol=0,
        atol=TOLERANCE,
    )
    assert result['soft_pseudo_label'].dtype == np.float32
    assert result['img_shape'] == crop_size[::-1]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_crop_is_cut_from_the_whole_resized_image(data):
    """To the last bit, at any size and scale, for any rows and columns."""
    draw = data.draw
    width, height = draw(st.integers(1, 120)), draw(st.integers(1, 120))
    scaled = draw(st.integers(1, 240)), draw(st.integers(1, 240))
    left, top = draw(st.integers(0, scaled[0] - 1)), draw(st.integers(0, scaled[1] - 1))
    rows = slice(top, draw(st.integers(top + 1, scaled[1])))
    columns = slice(left, draw(st.integers(left + 1, scaled[0])))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    image = generator.integers(0, 256, (height, width, 3), np.uint8)
    whole = pillow_resize(image, scaled, Image.Resampling.BILINEAR)
    found = resize_image_crop(image, scaled, rows, columns)
    np.testing.assert_array_equal(found, whole[rows, columns])


@pytest.mark.parametrize('width', [640, 960, 1024])
def test_a_crop_at_the_working_sizes(width):
    generator = np.random.default_rng(width)
    image = generator.integers(0, 256, (width // 2, width, 3), np.uint8)
    for scale in generator.uniform(0.5, 1.5, 6):
        scaled = int(scale * width), int(scale * width) // 2
        whole = pillow_resize(image, scaled, Image.Resampling.BILINEAR)
        for _ in range(4):
            left = generator.integers(scaled[0] - width // 2 + 1)
            top = generator.integers(scaled[1] - width // 4 + 1)
            rows, columns = slice(top, top + width // 4), slice(left, left + width // 2)
            found = resize_image_crop(image, scaled, rows, columns)
            np.testing.assert_array_equal(found, whole[rows, columns])


def test_soft_label_stays_a_distribution():
    generator = np.random.default_rng(0)
    soft = generator.random((7, 21, 41), np.float32)
    soft /= soft.sum(0)
    image = np.zeros((160, 320, 3), np.uint8)
    np.random.seed(0)
    result = build((160, 80))(dict(img=image, soft_pseudo_label=soft, img_path='image.png'))
    assert result['soft_pseudo_label'].shape == (7, 20, 40)
    np.testing.assert_allclose(result['soft_pseudo_label'].sum(0), 1, atol=TOLERANCE)
    assert result['soft_pseudo_label'].min() >= 0


def draws(count, width=64, height=32, crop_size=(8, 8)):
    """What the augmentation drew: a ramp as the soft label shows scale, place and flip."""
    ramp = np.stack(np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height)))
    transform = build(crop_size)
    np.random.seed(0)
    for _ in range(count):
        image = np.zeros((height, width, 3), np.uint8)
        results = dict(img=image, soft_pseudo_label=ramp.astype(np.float32), img_path='image.png')
        x, y = transform(results)['soft_pseudo_label'].astype(float)
        step_x, step_y = x[0, -1] - x[0, 0], y[-1, 0] - y[0, 0]
        scaled_width = 1 + round((crop_size[0] - 1) / abs(step_x))
        scaled_height = 1 + round((crop_size[1] - 1) / step_y)
        left, top = round(x.min() * (scaled_width - 1)), round(y.min() * (scaled_height - 1))
        yield scaled_width, scaled_height, left, top, step_x < 0


def test_what_is_drawn():
    widths, heights, lefts, tops, flips = map(np.array, zip(*draws(2000)))
    assert widths.min() >= 32 and widths.max() <= 95
    assert widths.min() < 35 and widths.max() > 92
    assert abs(widths.mean() - 63.5) < 2
    np.testing.assert_array_equal(heights, widths // 2)
    assert lefts.min() == 0 and (lefts <= widths - 8).all() and (lefts == widths - 8).any()
    assert tops.min() == 0 and (tops <= heights - 8).all() and (tops == heights - 8).any()
    assert abs(flips.mean() - 0.5) < 0.05


def test_seed_decides():
    assert list(draws(3)) == list(draws(3))


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300))
def test_half_of_any_size_fits_the_smallest_scale(half_width, half_height):
    """⌊width / aspect⌋ is exact: rounding must not make the image a row smaller than the crop."""
    image = np.zeros((2 * half_height, 2 * half_width, 3), np.uint8)
    transform = build((half_width, half_height), scale_range=(0.5, 0.5))
    shape = transform(dict(img=image, img_path='image.png'))['img'].shape
    assert shape == (half_height, half_width, 3)


@pytest.mark.parametrize('crop_size', [(33, 8), (8, 17)])
def test_crop_larger_than_the_scaled_image(crop_size):
    transform = build(crop_size, scale_range=(0.5, 0.5))
    image = np.zeros((32, 64, 3), np.uint8)
    message = f'aachen.png scaled to 32x16 is smaller than the crop {crop_size[0]}x{crop_size[1]}:'
    with pytest.raises(ValueError, match=message):
        transform(dict(img=image, img_path='aachen.png'))


def test_results_can_become_tensors():
    """Views of Pillow's memory are read-only, torch warns of them."""
    image = np.zeros((16, 16, 3), np.uint8)
    transform = build((16, 16), scale_range=(1, 1), flip_prob=0)
    result = transform(dict(img=image, gt_seg_map=image[..., 0], img_path='image.png'))
    assert result['img'].flags.writeable and result['gt_seg_map'].flags.writeable
