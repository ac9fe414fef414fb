"""GTA5: its splits."""

import pytest
from scipy.io import savemat

from mlcl_mmseg.datasets import gta5
from mlcl_mmseg.errors import InputError

from .conftest import build_domain, random_pixels, write_image


def save_split(root):
    savemat(root / 'split.mat', dict(trainIds=[[1], [7]], valIds=[[2]], testIds=[[9]]))


@pytest.mark.parametrize(
    ('split', 'frames'),
    [('all', ['00001', '00002', '00007']), ('train', ['00001', '00007']), ('val', ['00002'])],
)
def test_gta5_split_file(make_tree, split, frames):
    root = make_tree('gta5')
    save_split(root)
    domain = build_domain('gta5', root, split=split)
    assert [sample['sample_name'] for sample in domain] == frames


def test_gta5_without_split_file(make_tree):
    root = make_tree('gta5')
    assert len(build_domain('gta5', root, 'source')) == 3
    with pytest.raises(FileNotFoundError, match=r"split\.mat is missing, but split='val' .*'all'"):
        build_domain('gta5', root, split='val')


def test_gta5_split_without_images(make_tree):
    root = make_tree('gta5')
    save_split(root)
    with pytest.raises(
        FileNotFoundError, match=r"images contains no frame of .*'test' of .*split\.mat"
    ):
        build_domain('gta5', root, split='test')


def test_gta5_split_leaves_out_what_has_no_number(make_tree):
    root = make_tree('gta5')
    save_split(root)
    write_image(root / 'images' / '00001 (copy).png', random_pixels(0))
    assert len(build_domain('gta5', root, split='train')) == 2


def test_gta5_unknown_split(make_tree):
    root = make_tree('gta5')
    save_split(root)
    with pytest.raises(ValueError, match="split is 'training', but .* all, train, val, test"):
        build_domain('gta5', root, split='training')


def test_gta5_split_without_the_array(make_tree):
    root = make_tree('gta5')
    savemat(root / 'split.mat', dict(trainIds=[[1]]))
    with pytest.raises(InputError, match=r"split\.mat cannot be read \(KeyError: 'valIds"):
        build_domain('gta5', root, split='val')


@pytest.mark.parametrize(
    ('code', 'reason'),
    [
        ('import os, signal; os.kill(os.getpid(), signal.SIGSEGV)', 'exit code -11'),
        ('print("[1, null]")', r'int\(\) argument must be'),
        ('print(chr(0))', 'Expecting value'),
    ],
)
def test_gta5_split_whose_reader_fails(make_tree, monkeypatch, code, reason):
    """SciPy's reader ends its process on some damaged files: this one goes on."""
    root = make_tree('gta5')
    save_split(root)
    monkeypatch.setattr(gta5, 'READ_ARRAY', code)
    with pytest.raises(InputError, match=rf'split\.mat cannot be read \({reason}.*: download it'):
        build_domain('gta5', root, split='train')
