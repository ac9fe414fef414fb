"""Files of any mode, format, EXIF block and name: a right sample, or an error that names them."""

import io
import os
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from mmseg.registry import DATASETS
from PIL import Image

from mlcl_mmseg.datasets.check import find_error
from mlcl_mmseg.datasets.prepare import prepare_config
from mlcl_mmseg.errors import InputError

from .conftest import LABELLED, LOAD, LOAD_LABEL, random_ids, random_pixels, write_image

SIZE = (12, 8)
FORMATS = ('PNG', 'JPEG', 'BMP', 'TIFF', 'WEBP', 'PPM', 'GIF', 'JPEG2000', 'ICO', 'TGA')
MODES = ('1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'CMYK', 'YCbCr', 'LAB', 'I', 'I;16', 'F')
IDS = random_ids(0, 'gta5', *SIZE[::-1])


def image_of(mode):
    if mode in ('L', 'P'):
        image = Image.fromarray(IDS)
        if mode == 'P':
            image.putpalette(list(range(256)) * 3)
        return image
    if mode in ('PA', 'LAB', 'I;16'):
        return Image.new(mode, SIZE, 1)
    return Image.fromarray(random_pixels(0, *SIZE[::-1])).convert('L' if mode == 'F' else 'RGB')


def exif_block(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def encoded(mode, kind, exif):
    """The content of a file; None if Pillow does not write this mode in this format."""
    image, file = image_of(mode), io.BytesIO()
    if image.mode != mode:
        image = image.convert(mode)
    try:
        image.save(file, kind, **({} if exif is None else dict(exif=exif)))
    # its writers raise exceptions of many types
    except Exception:
        return None
    return file.getvalue()


WRITABLE = [(mode, kind) for mode in MODES for kind in FORMATS if encoded(mode, kind, None)]
EXIF = st.none() | st.integers(0, 65535).map(exif_block) | st.binary(max_size=40)
SETTINGS = dict(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def folder_domain(root, role, pipeline):
    return DATASETS.build(
        dict(
            type='FolderDomain',
            data_root=str(root),
            num_classes=7,
            role=role,
            domain='own',
            pipeline=pipeline,
        )
    )


def sample_of(domain, path):
    """The sample; None if it is refused, in one sentence that names the file."""
    told = find_error(domain, 0)
    try:
        return domain[0]
    except InputError as error:
        assert str(error).startswith(str(path)) and '\n' not in str(error)
        # what the header tells is told before a training
        assert told is None or str(told[1]) == str(error)
        return None


@settings(max_examples=100, **SETTINGS)
@given(st.sampled_from(WRITABLE), EXIF, st.none() | st.integers(0, 400))
@pytest.mark.filterwarnings('ignore')
def test_images_and_labels_of_any_kind(tmp_path, mode_and_kind, exif, cut):
    mode, kind = mode_and_kind
    content = encoded(mode, kind, exif) or encoded(mode, kind, None)
    content = content if cut is None else content[:cut]
    image, label = tmp_path / 'images/a.png', tmp_path / 'labels/a.png'
    for path in (image, label):
        path.parent.mkdir(exist_ok=True)
    image.write_bytes(content)
    sample = sample_of(folder_domain(tmp_path, 'target', [LOAD]), image)
    if sample is not None:
        assert sample['img'].shape == (*SIZE[::-1], 3) and sample['img'].dtype == np.uint8
    write_image(image, random_pixels(0, *SIZE[::-1]))
    label.write_bytes(content)
    sample = sample_of(folder_domain(tmp_path, 'source', [LOAD, LOAD_LABEL]), label)
    if sample is not None:
        assert mode in 'LP'
        np.testing.assert_array_equal(sample['gt_seg_map'], IDS)


def is_visible(name):
    return not name.startswith('.')


TEXT = st.text(
    st.characters(exclude_categories=['Cs'], exclude_characters='/\0'), min_size=1, max_size=50
)
BYTES = st.binary(min_size=1, max_size=200).map(
    lambda name: os.fsdecode(name.translate(None, b'/\0') or b'x')
)
ODD = st.sampled_from(['{split}', '{0}', '%s', '*', '[a]', '-rf', 'a\nb'])
NAMES = (TEXT | BYTES | ODD).filter(is_visible)


@settings(max_examples=40, **SETTINGS)
@given(NAMES, NAMES)
def test_files_of_any_name(tmp_path, folder, name):
    """They are read, copied and read from the copy."""
    shutil.rmtree(tmp_path)
    root = tmp_path / 'own'
    for part, pixels in (('images', random_pixels(0)), ('labels', random_ids(0, 'gta5'))):
        path = root / part / folder
        path.mkdir(parents=True)
        Image.fromarray(pixels).save(path / f'{name}.png')
    original = folder_domain(root, 'source', LABELLED)
    assert len(original) == 1
    dataset = dict(type='MultiDomainValidation', pipeline=LABELLED)
    dataset['domains'] = [
        dict(type='FolderDomain', data_root=str(root), num_classes=7, domain='own')
    ]
    config = Config(dict(val_dataloader=dict(dataset=dataset)), cfg_text='none')
    done = prepare_config(config, tmp_path / 'copies', num_workers=0)
    assert done.failures == [] and done.copies[0].made == 1
    copy = folder_domain(tmp_path / 'copies/own', 'source', LABELLED)
    assert copy[0]['sample_name'] == original[0]['sample_name']
    for key in ('img', 'gt_seg_map'):
        np.testing.assert_array_equal(copy[0][key], original[0][key])
