import errno
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcl_mmseg.errors import InputError
from mlcl_mmseg.methods.mcl.geometry import warp_pseudo_label
from mlcl_mmseg.methods.mcl.selection import class_thresholds, select_pseudo_label
from mlcl_mmseg.pseudo_labels import (
    PseudoLabelGeneration,
    generations,
    load_soft_pseudo_label,
    remove_generations,
)
from mlcl_mmseg.pseudo_labels.encoding import FORMS, HEADER, decode, encode, encode_as

from ..models import slow


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 40), st.sampled_from([0.5, 0.3, 1]))
def test_thresholds_of_any_classes(seed, num_classes, count, quantile):
    """The element at round(quantile · n), halves to even, of each class's ascending entropies."""
    generator = torch.Generator().manual_seed(seed)
    hard = torch.randint(num_classes, (1, 1, count), generator=generator)
    # few values, so that there are ties
    entropy = torch.randint(5, (1, 1, count), generator=generator) / 5
    found = class_thresholds(entropy, hard, num_classes, quantile)
    for c in range(num_classes):
        values = sorted(entropy[hard == c].tolist())
        index = min(round(quantile * len(values)), len(values) - 1)
        assert found[c] == (values[index] if values else 0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 20))
def test_selection_of_any_sharpness(seed, sharpness):
    generator = torch.Generator().manual_seed(seed)
    logits = sharpness * torch.randn(2, 4, 12, 16, generator=generator, dtype=torch.float64)
    soft = logits.softmax(1)
    expected = slow.select(slow.resize(soft.numpy(), 3, 4))
    np.testing.assert_array_equal(select_pseudo_label(soft), expected)


def test_soft_labels_on_the_grid_are_taken_as_they_are():
    soft = torch.rand(2, 4, 12, 16, generator=torch.Generator().manual_seed(0)).softmax(1)
    on_grid = torch.nn.functional.interpolate(soft, (3, 4), mode='bilinear', align_corners=True)
    expected = select_pseudo_label(soft)
    assert expected.shape == (2, 3, 4)
    assert torch.equal(select_pseudo_label(on_grid, size=(3, 4)), expected)
    assert torch.equal(select_pseudo_label(soft, size=(3, 4)), expected)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.floats(-0.6, 0.6),
    st.floats(-0.4, 0.4),
    st.integers(-20, 20),
    st.booleans(),
)
def test_any_affine(seed, angle, shear, shift, flip):
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(3, (1, 6, 8), generator=generator)
    a, b = np.cos(angle), np.sin(angle)
    sign = -1 if flip else 1
    # a fraction that keeps every source point off the borders between pixels
    affine = torch.tensor([[[sign * a, shear - b, shift + 0.137], [b, a, -shift + 0.241]]])
    cutout = torch.tensor([[4, 9, 17, 15]])
    expected = slow.warp(label.numpy(), affine, cutout)
    found = warp_pseudo_label(label, affine.float(), cutout).numpy()
    # float32 and float64 may fall on two sides of a border between pixels
    assert (found != expected).mean() <= 1 / 48


def test_flip_is_exact_and_cutout_rounds_down():
    label = torch.arange(12).view(1, 2, 6)
    flip = torch.tensor([[[-1.0, 0, 24], [0, 1, 0]]])
    found = warp_pseudo_label(label, flip, torch.tensor([[7, 0, 11, 7]]))
    # x: 7 // 4 = 1 to 11 // 4 = 2; y: 0 to 7 // 4 = 1
    assert found.tolist() == [[[5, 255, 3, 2, 1, 0], [11, 10, 9, 8, 7, 6]]]


@pytest.mark.parametrize('shift', [-1000, 1000])
def test_what_lies_outside_the_weak_view_is_ignored(shift):
    label = torch.zeros(1, 2, 6, dtype=torch.long)
    affine = torch.tensor([[[1.0, 0, shift], [0, 1, 0]]])
    assert (warp_pseudo_label(label, affine, torch.zeros(1, 4, dtype=torch.long)) == 255).all()


def smooth_map(shape, size, sharpness, seed=0):
    """Class probabilities from a coarse grid of random logits, with a little noise."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, shape[0], *size, generator=generator)
    logits = torch.nn.functional.interpolate(logits, shape[1:], mode='bicubic')
    logits = logits + 0.02 * torch.randn(logits.shape, generator=generator)
    return (sharpness * logits).softmax(1)[0].numpy()


class TestEncoding:
    @pytest.mark.parametrize('shape', [(7, 41, 81), (19, 65, 129)])
    @pytest.mark.parametrize('sharpness', [0, 0.1, 1, 4, 16])
    @pytest.mark.parametrize('kind', ['smooth', 'noise', 'spikes'])
    def test_a_quarter_of_float32_and_near(self, shape, sharpness, kind):
        """Whatever the map: smooth, independent at each pixel, or far from softmax."""
        if kind == 'spikes':
            gamma = np.random.default_rng(0).gamma(0.05 + sharpness / 8, size=shape) + 1e-9
            soft = (gamma / gamma.sum(0)).astype(np.float32)
        else:
            size = shape[1:] if kind == 'noise' else (8, 12)
            soft = smooth_map(shape, size, sharpness)
        content = encode(soft)
        assert len(content) <= soft.nbytes / 4
        found = decode(content)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, soft, rtol=0, atol=1 / 255)
        # as precise as float16 where neighbours are alike, else as precise as fits
        if kind == 'smooth':
            assert abs(found - soft).max() <= 2**-12
        exponent, differences, *_ = HEADER.unpack_from(zlib.decompress(content))
        if exponent and differences:
            finer = encode_as(torch.from_numpy(soft), exponent - 1, True)
            assert len(finer) > soft.nbytes / 4

    @settings(max_examples=40, deadline=None)
    @given(
        st.integers(0, 10**6),
        st.tuples(*[st.integers(1, 9)] * 3),
        st.sampled_from(FORMS),
    )
    def test_every_form_is_exact_to_its_step(self, seed, shape, form):
        soft = np.random.default_rng(seed).random(shape, np.float32) ** 8
        soft.flat[0], soft.flat[-1] = 0, 1
        found = decode(encode_as(torch.from_numpy(soft), *form))
        scale = np.float32(2.0 ** -form[0])
        expected = (soft * scale).astype(np.float16).astype(np.float32) / scale
        np.testing.assert_array_equal(found, expected)
        assert abs(found - soft).max() <= 1 / 256

    def test_smaller_where_the_network_is_certain(self):
        shape = (19, 65, 129)
        assert len(encode(smooth_map(shape, (4, 6), 60))) < np.prod(shape) / 2


def bomb(shape):
    """A megabyte of zeros in a kilobyte, whatever the header announces."""
    return zlib.compress(HEADER.pack(0, 0, *shape) + bytes(10**6))


def with_values(value):
    return encode_as(torch.tensor([[[value, 0.5]]]), 0, False)


@given(st.binary(min_size=HEADER.size, max_size=60), st.booleans())
def test_any_content_is_probabilities_or_a_refusal(content, is_deflated):
    try:
        found = decode(zlib.compress(content) if is_deflated else content)
    except (ValueError, zlib.error, struct.error):
        return
    assert found.dtype == np.float32 and 0 <= found.min() <= found.max() <= 1


class TestStore:
    def test_round_trip(self, tmp_path):
        soft = torch.rand(3, 4, 5).softmax(0).numpy()
        generation = PseudoLabelGeneration(tmp_path, 7)
        generation.begin()
        generation.write('dusk', 'city/frame', soft)
        assert generations(tmp_path) == []
        generation.finish({})
        found = load_soft_pseudo_label(generation.path('dusk', 'city/frame'))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, soft, rtol=0, atol=1 / 255)

    def test_leftovers_of_an_interrupted_attempt_do_not_count(self, tmp_path):
        interrupted = PseudoLabelGeneration(tmp_path, 0)
        interrupted.begin()
        interrupted.write('dusk', 'old', np.ones((2, 2, 2)))
        assert generations(tmp_path) == []
        again = PseudoLabelGeneration(tmp_path, 0)
        again.begin()
        again.write('dusk', 'new', np.ones((2, 2, 2)))
        again.finish({})
        with pytest.raises(FileNotFoundError):
            load_soft_pseudo_label(again.path('dusk', 'old'))

    def test_nothing_of_an_interrupted_attempt_stays(self, tmp_path):
        """Whatever its iteration: the interval may be another now."""
        PseudoLabelGeneration(tmp_path, 3).begin()
        generation = PseudoLabelGeneration(tmp_path, 2)
        generation.begin()
        generation.finish({})
        assert [path.name for path in tmp_path.iterdir()] == ['iter_2']

    def test_what_is_damaged_is_named(self, tmp_path):
        generation = PseudoLabelGeneration(tmp_path, 0)
        generation.begin()
        for name in ('a', 'city/b'):
            generation.write('dusk', name, np.ones((2, 2, 2)))
        generation.finish(dict(checkpoint='x.pth', weights='0'))
        assert generation.manifest.checkpoint == 'x.pth'
        assert generation.find_damage() is None
        path = Path(generation.path('dusk', 'city/b'))
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        assert "iter_0/dusk has {'images': 2, " in generation.find_damage()
        path.unlink()
        assert "iter_0/dusk has {'images': 1, " in generation.find_damage()
        path.write_bytes(whole)
        (generation.folder / 'manifest.json').write_text('{')
        assert 'iter_0 is missing or has no valid manifest' in generation.find_damage()

    @pytest.mark.parametrize(
        ('changes', 'is_whole'),
        [
            ({}, True),
            (dict(files=1), False),
            (dict(checkpoint=None), False),
            (dict(weights=1), False),
            (None, False),
        ],
    )
    def test_a_manifest_of_another_form_is_none(self, tmp_path, changes, is_whole):
        generation = PseudoLabelGeneration(tmp_path / 'new' / 'root', 0)
        generation.begin()
        for name in ('city/a', 'city/b'):
            generation.write('dusk', name, np.ones((2, 2, 2)))
        generation.finish(dict(checkpoint='x.pth', weights='0'))
        path = generation.folder / 'manifest.json'
        manifest = json.loads(path.read_text())
        path.write_text(json.dumps(changes if changes is None else {**manifest, **changes}))
        found = generation.manifest
        assert found.model_dump() == manifest if is_whole else found is None

    @pytest.mark.parametrize(
        ('content', 'message'),
        [
            (None, 'is missing: stop the run and continue it with --resume'),
            (b'', r'was damaged \(.*\) and has been removed: stop the run'),
            (encode(np.ones((2, 2, 2)))[:-1], 'was damaged'),
            (zlib.compress(b'no header, no values'), 'was damaged'),
            (bomb((1, 1, 2)), r'was damaged \(it does not have 4 bytes of values\)'),
            (bomb((65535, 65535, 1)), r'was damaged \(its header is .*65535, 65535, 1\)\)'),
            (with_values(-0.5), 'was damaged .it has values that are not probabilities'),
            (with_values(1.01), 'was damaged .it has values that are not probabilities'),
            (with_values(np.nan), 'was damaged .it has values that are not probabilities'),
            (with_values(np.inf), 'was damaged .it has values that are not probabilities'),
            (encode(np.ones((2, 2, 2))) + b'x', 'was damaged'),
        ],
    )
    def test_a_damaged_file_is_named(self, tmp_path, content, message):
        path = tmp_path / 'x.soft'
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(InputError, match=f'The pseudo-label .*x.soft {message}'):
            load_soft_pseudo_label(str(path))
        assert not path.exists()

    def test_a_file_that_cannot_be_read_now_is_kept(self, tmp_path, monkeypatch):
        """Too many open files, for example, are no damage."""

        def fail(*args, **kwargs):
            raise OSError(errno.EMFILE, 'Too many open files')

        path = tmp_path / 'x.soft'
        path.write_bytes(encode(np.ones((2, 2, 2))))
        with monkeypatch.context() as patch:
            patch.setattr('builtins.open', fail)
            with pytest.raises(InputError, match='x.soft cannot be read .Too many open files.'):
                load_soft_pseudo_label(str(path))
        assert load_soft_pseudo_label(str(path)).shape == (2, 2, 2)

    def test_float16_arrays_of_an_earlier_version_count_as_missing(self, tmp_path):
        """A run that goes on makes them anew."""
        generation = PseudoLabelGeneration(tmp_path, 0)
        (generation.folder / 'dusk').mkdir(parents=True)
        np.savez(generation.folder / 'dusk' / 'a.npz', np.ones((2, 2, 2), np.float16))
        manifest = dict(files=dict(dusk=dict(images=1, bytes=280)), checkpoint='', weights='')
        (generation.folder / 'manifest.json').write_text(json.dumps(manifest))
        assert "has {'images': 0, 'bytes': 0} and should" in generation.find_damage()

    def test_removal(self, tmp_path):
        for iteration in (0, 200, 1000):
            generation = PseudoLabelGeneration(tmp_path, iteration)
            generation.begin()
            generation.finish({})
        remove_generations(tmp_path, lambda iteration: iteration == 200)
        assert [each.iteration for each in generations(tmp_path)] == [0, 1000]
