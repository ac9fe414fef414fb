import numpy as np
import torch
from mmseg.registry import TRANSFORMS

from mlcl_mmseg.pseudo_labels.encoding import decode, encode

from .conftest import random_pixels


def test_training_sample_becomes_tensors():
    image, label = random_pixels(0), random_pixels(1)[..., 0]
    results = dict(
        img=image,
        gt_seg_map=label[:, ::-1],
        soft_pseudo_label=np.ones((7, 24, 48), np.float32),
        strong_img=random_pixels(2)[..., ::-1],
        strong_affine=np.eye(2, 3, dtype=np.float32),
        strong_cutout=np.array([1, 2, 3, 4]),
        img_path='image.png',
        scale=(1, 1),
        label_format=print,
    )
    packed = TRANSFORMS.build(dict(type='PackDomainInputs'))(results)
    assert packed.pop('img_path') == 'image.png'
    assert {key: (value.dtype, tuple(value.shape)) for key, value in packed.items()} == dict(
        img=(torch.uint8, (3, 24, 48)),
        label=(torch.uint8, (24, 48)),
        soft_pseudo_label=(torch.float32, (7, 24, 48)),
        strong_img=(torch.uint8, (3, 24, 48)),
        strong_affine=(torch.float32, (2, 3)),
        strong_cutout=(torch.int64, (4,)),
    )
    assert all(value.is_contiguous() for value in packed.values())
    np.testing.assert_array_equal(packed['img'][2], image[..., 2])
    np.testing.assert_array_equal(packed['label'], label[:, ::-1])


def test_what_a_sample_has_not_is_left_out():
    packed = TRANSFORMS.build(dict(type='PackDomainInputs'))(
        dict(img=random_pixels(0), gt_seg_map=None, img_path='image.png')
    )
    assert set(packed) == {'img', 'img_path'}


def test_map_labels_without_a_label():
    results = dict(img=random_pixels(0))
    assert TRANSFORMS.build(dict(type='MapLabels'))(dict(results)).keys() == results.keys()


def test_soft_pseudo_label_is_loaded_as_float32(tmp_path):
    soft = np.random.default_rng(0).random((7, 5, 9))
    path = tmp_path / 'a.soft'
    path.write_bytes(encode(soft))
    loaded = TRANSFORMS.build(dict(type='LoadSoftPseudoLabel'))(dict(pseudo_label_path=str(path)))
    assert loaded['soft_pseudo_label'].dtype == np.float32
    np.testing.assert_array_equal(loaded['soft_pseudo_label'], decode(path.read_bytes()))
