"""Each row of the table of kinds of files in docs/data.md, as an image and as a label."""

import io
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from mmseg.registry import DATASETS
from PIL import Image, TiffImagePlugin

from mlcl_mmseg.datasets import image_files
from mlcl_mmseg.datasets.check import find_error
from mlcl_mmseg.errors import InputError

from .conftest import LOAD, LOAD_LABEL

PAGE = Path(__file__).parents[2] / 'docs/data.md'
IDS = np.arange(12, dtype=np.uint8).reshape(3, 4)
GREY = np.stack([IDS] * 3, axis=-1)
COLOURS = np.random.default_rng(0).integers(0, 256, (3, 4, 3), np.uint8)
PALETTE = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)
RGB, L = Image.fromarray(COLOURS), Image.fromarray(IDS)
P = Image.fromarray(IDS)
P.putpalette(PALETTE.tobytes())


def stored(image, kind, **options):
    """The content of a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(depth, colour, rows):
    """A PNG whose rows are given as they are stored."""

    def chunk(name, content):
        checksum = zlib.crc32(name + content)
        return struct.pack('>I', len(content)) + name + content + struct.pack('>I', checksum)

    header = struct.pack('>IIBBBBB', 4, len(rows), depth, colour, 0, 0, 0)
    pixels = zlib.compress(b''.join(b'\0' + row for row in rows))
    parts = chunk(b'IHDR', header), chunk(b'IDAT', pixels), chunk(b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


def with_alpha(image, mode):
    image = image.convert(mode)
    image.putalpha(Image.fromarray(np.full((3, 4), 51, np.uint8)))
    return image


def rotated(image):
    exif = Image.Exif()
    exif[0x0112] = 6
    return stored(image, 'PNG', exif=exif)


def inverted():
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[262] = 0
    return stored(L, 'TIFF', tiffinfo=tags)


class Kind(NamedTuple):
    """A row: the file, and what is read of it as an image and as a label; None if refused."""

    content: bytes
    image: np.ndarray | None
    label: np.ndarray | None = None


def decoded(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert('RGB'))


def lossy(image, kind, **options):
    """What the decoder gives; another decoder may give other values."""
    content = stored(image, kind, **options)
    return Kind(content, decoded(content))


TRANSPARENT = stored(P, 'PNG', transparency=bytes(range(100, 112)))
BLENDED = np.rint(0.2 * GREY + 0.8 * np.array([124, 117, 104])).astype(np.uint8)
KINDS = {
    '8-bit RGB': Kind(stored(RGB, 'PNG'), COLOURS),
    '8-bit greyscale': Kind(stored(L, 'PNG'), GREY, IDS),
    'palette of 1 to 8 bits': Kind(TRANSPARENT, PALETTE[IDS], IDS),
    'greyscale of 1 bit': Kind(
        png(1, 0, [b'\x50']), np.stack([[[0, 255, 0, 255]]] * 3, axis=-1).astype(np.uint8)
    ),
    'greyscale of 2 or 4 bits': Kind(
        png(4, 0, [b'\x01\x23']), np.stack([[[0, 17, 34, 51]]] * 3, axis=-1).astype(np.uint8)
    ),
    'greyscale of 16 or 32 bits': Kind(stored(L.convert('I;16'), 'PNG'), None),
    'floating point': Kind(stored(L.convert('F'), 'TIFF'), None),
    'RGB of 16 bits': Kind(
        png(16, 2, [np.stack([row, row ^ 255], axis=-1).tobytes() for row in COLOURS]), COLOURS
    ),
    'RGB with transparency': Kind(stored(with_alpha(RGB, 'RGBA'), 'PNG'), COLOURS),
    'greyscale with transparency': Kind(stored(with_alpha(L, 'LA'), 'PNG'), BLENDED),
    'CMYK': Kind(stored(RGB.convert('CMYK'), 'TIFF'), COLOURS),
    'LAB': Kind(stored(Image.new('LAB', (4, 3)), 'TIFF'), None),
    'EXIF orientation': Kind(rotated(L), GREY, IDS),
    'JPEG': lossy(L, 'JPEG'),
    'JPEG of a camera with several pictures (MPO)': Kind(
        stored(RGB, 'MPO', save_all=True, append_images=[L.convert('RGB')]),
        decoded(stored(RGB, 'JPEG')),
    ),
    'WebP': lossy(L, 'WEBP', lossless=True),
    'JPEG 2000': lossy(L, 'JPEG2000'),
    'PGM or PPM': Kind(stored(L, 'PPM'), GREY),
    'GIF': Kind(stored(L, 'GIF'), GREY),
    'animation (GIF, APNG, WebP)': Kind(
        stored(L, 'PNG', save_all=True, append_images=[L.transpose(Image.Transpose.ROTATE_180)]),
        None,
    ),
    'BMP': Kind(stored(P, 'BMP'), PALETTE[IDS], IDS),
    'TIFF': Kind(stored(L, 'TIFF', compression='tiff_lzw'), GREY, IDS),
    'TIFF with JPEG compression': lossy(L, 'TIFF', compression='jpeg'),
    'TIFF with inverted greyscale': Kind(inverted(), GREY),
    'TIFF of several pages': Kind(stored(L, 'TIFF', save_all=True, append_images=[P]), None),
    'more pixels than the limit': Kind(stored(Image.new('L', (50, 40)), 'PNG'), None),
    'any other format (HEIC, PSD, EPS, video)': Kind(b'%!PS-Adobe-3.0 EPSF-3.0\n', None),
}


def rows_of_page():
    """Kind, image and label of each row."""
    section = PAGE.read_text('utf-8').partition('| kind of file |')[2].partition('\n\n')[0]
    return [
        tuple(cell.strip() for cell in line.strip('|').split('|'))
        for line in section.splitlines()[2:]
    ]


def test_the_table_has_these_rows():
    rows = rows_of_page()
    assert [kind for kind, _, _ in rows] == list(KINDS)
    for kind, image, label in rows:
        assert image.startswith('refused') == (KINDS[kind].image is None), kind
        assert label.startswith('refused') == (KINDS[kind].label is None), kind


@pytest.fixture
def domain(tmp_path, monkeypatch):
    """Build a folder with one image or label of a kind, whose name says nothing about it."""
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 500)
    image_files.set_max_pixels.cache_clear()

    def build(kind, role):
        content = KINDS[kind].content
        files = dict(images=content)
        if role == 'source':
            files = dict(images=stored(RGB, 'PNG'), labels=content)
        for folder, each in files.items():
            (tmp_path / folder).mkdir()
            (tmp_path / folder / 'a.png').write_bytes(each)
        config = dict(type='FolderDomain', data_root=tmp_path, num_classes=7, domain='own')
        pipeline = [LOAD, LOAD_LABEL][: 1 + (role == 'source')]
        return DATASETS.build(dict(**config, role=role, pipeline=pipeline))

    return build


def assert_refused(domain, path):
    with pytest.raises(InputError) as caught:
        domain[0]
    assert str(caught.value).startswith(str(path)) and '\n' not in str(caught.value)
    assert str(find_error(domain, 0)[1]) == str(caught.value)


@pytest.mark.filterwarnings('ignore:Palette images with Transparency')
@pytest.mark.parametrize('kind', KINDS)
def test_as_an_image(domain, tmp_path, kind):
    target = domain(kind, 'target')
    expected = KINDS[kind].image
    if expected is None:
        assert_refused(target, tmp_path / 'images/a.png')
        return
    assert find_error(target, 0) is None
    np.testing.assert_allclose(target[0]['img'][..., ::-1], expected, atol=1)


@pytest.mark.parametrize('kind', KINDS)
def test_as_a_label(domain, tmp_path, kind):
    source = domain(kind, 'source')
    expected = KINDS[kind].label
    if expected is None:
        assert_refused(source, tmp_path / 'labels/a.png')
        return
    assert find_error(source, 0) is None
    np.testing.assert_array_equal(source[0]['gt_seg_map'], expected)


def test_an_animation_says_what_to_do(domain):
    with pytest.raises(InputError, match='has several frames or pages, .* save each of them'):
        domain('animation (GIF, APNG, WebP)', 'target')[0]


@pytest.mark.filterwarnings('ignore:Image size')
def test_a_limit_of_pixels(domain, monkeypatch):
    kind = 'more pixels than the limit'
    monkeypatch.setenv('MLCL_MAX_PIXELS', '2000')
    target = domain(kind, 'target')
    assert target[0]['img'].shape == (40, 50, 3)
    for value, message in (
        ('1998', 'has more pixels than the limit, 1998: set the environment variable MLCL_MAX'),
        ('many', "MLCL_MAX_PIXELS is 'many': set it to a number of pixels, or unset it"),
    ):
        monkeypatch.setenv('MLCL_MAX_PIXELS', value)
        image_files.set_max_pixels.cache_clear()
        with pytest.raises(InputError, match=message):
            target[0]
