"""Random bytes, cuts and flips in every kind of file that is read.

A clear error that names the file, or the right result: never another exception.
"""

import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from mmseg.registry import DATASETS
from PIL import Image
from scipy.io import savemat

from mlcl_mmseg.engine import stage_files
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.pseudo_labels.encoding import decode, encode
from mlcl_mmseg.pseudo_labels.store import MANIFEST, PseudoLabelGeneration, load_soft_pseudo_label
from mlcl_mmseg.safe_load import read_checkpoint

CONVERTER = Path(__file__).parents[1] / 'tools/dataset_converters/idd.py'
SPECIFICATION = importlib.util.spec_from_file_location('idd_converter', CONVERTER)
SIZE = (24, 16)


def damage(data, content: bytes) -> bytes:
    """Cut, overwrite, insert or replace bytes."""
    kind = data.draw(st.sampled_from(['cut', 'flip', 'insert', 'random', 'empty']))
    place = data.draw(st.integers(0, len(content) - 1))
    if kind == 'cut':
        return content[:place]
    if kind == 'flip':
        flipped = bytes([content[place] ^ data.draw(st.integers(1, 255))])
        return content[:place] + flipped + content[place + 1 :]
    if kind == 'insert':
        return content[:place] + data.draw(st.binary(min_size=1, max_size=9)) + content[place:]
    return data.draw(st.binary(max_size=60)) if kind == 'random' else b''


PIXELS = np.random.default_rng(0).integers(0, 30, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
# class indices; all others are ignored
IDS = np.where(PIXELS[..., 0] < 7, PIXELS[..., 0], 255)


def picture(kind: str, mode: str) -> bytes:
    image = Image.fromarray(PIXELS if mode == 'RGB' else PIXELS[..., 0])
    if mode == 'P':
        image.putpalette(list(range(256)) * 3)
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def saved(write) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def read_sample(path: Path):
    """An image and its label as a source reads them."""
    domain = DATASETS.build(
        dict(
            type='FolderDomain',
            domain='day',
            data_root=str(path.parent.parent),
            num_classes=7,
            role='source',
            pipeline=[
                dict(type='LoadImageFromFile', imdecode_backend='pillow'),
                dict(type='LoadRawLabel'),
                dict(type='MapLabels'),
            ],
        )
    )
    sample = domain[0]
    # a PNG has checksums, but only labels are worth the time in training
    assert np.array_equal(sample['gt_seg_map'], IDS), 'another label'
    assert sample['img'].shape == (SIZE[1], SIZE[0], 3)


def read_image(path: Path):
    (path.parent.parent / 'labels').mkdir(exist_ok=True)
    (path.parent.parent / 'labels' / 'a.png').write_bytes(picture('PNG', 'L'))
    read_sample(path)


def read_label(path: Path):
    (path.parent.parent / 'images').mkdir(exist_ok=True)
    (path.parent.parent / 'images' / 'a.png').write_bytes(picture('PNG', 'RGB'))
    read_sample(path)


def read_split(path: Path):
    (path.parent / 'images').mkdir(exist_ok=True)
    (path.parent / 'labels').mkdir(exist_ok=True)
    for folder in ('images', 'labels'):
        (path.parent / folder / '00001.png').write_bytes(picture('PNG', 'L'))
    domain = dict(type='GTA5Domain', data_root=str(path.parent), num_classes=7, split='train')
    assert len(DATASETS.build({**domain, 'role': 'source'})) == 1


def read_weights(path: Path):
    assert torch.equal(read_checkpoint(path)['weight'], WEIGHTS['weight'])


def read_legacy_weights(path: Path):
    # this old form has no checksum: it may hold other numbers
    read_checkpoint(path)


def read_pseudo_label(path: Path):
    found = load_soft_pseudo_label(str(path))
    assert np.array_equal(found, decode(encode(SOFT)))


def read_polygons(path: Path):
    converter = importlib.util.module_from_spec(SPECIFICATION)
    SPECIFICATION.loader.exec_module(converter)
    converter.paint(path)


def read_marker(path: Path):
    stage_files.read_marker(Config(dict(work_dir=str(path.parent))), path.name)


def read_manifest(path: Path):
    PseudoLabelGeneration(path.parent.parent, 0).find_damage()


WEIGHTS = dict(weight=torch.arange(40.0).view(5, 8))
SOFT = np.random.default_rng(0).random((3, 4, 5))
POLYGONS = dict(
    imgHeight=4, imgWidth=6, objects=[dict(label='road', polygon=[[0, 0], [5, 0], [5, 3]])]
)
FILES = {
    'image': ('images/a.png', picture('PNG', 'RGB'), read_image),
    'photograph': ('images/a.png', picture('JPEG', 'RGB'), read_image),
    'label': ('labels/a.png', picture('PNG', 'P'), read_label),
    'split': ('split.mat', saved(lambda file: savemat(file, dict(trainIds=[[1]]))), read_split),
    'checkpoint': ('x.pth', saved(lambda file: torch.save(WEIGHTS, file)), read_weights),
    'old checkpoint': (
        'x.pkl',
        saved(lambda file: torch.save(WEIGHTS, file, _use_new_zipfile_serialization=False)),
        read_legacy_weights,
    ),
    'pseudo-label': ('x.soft', encode(SOFT), read_pseudo_label),
    'polygons': ('a_gtFine_polygons.json', json.dumps(POLYGONS).encode(), read_polygons),
    'marker': ('complete.json', json.dumps(dict(settings={})).encode(), read_marker),
    'manifest': (f'iter_0/{MANIFEST}', json.dumps(dict(files={})).encode(), read_manifest),
}


@pytest.mark.parametrize('examples', [20, pytest.param(250, marks=pytest.mark.thorough)])
@pytest.mark.parametrize('kind', FILES)
def test_damaged_files(tmp_path, kind, examples):
    name, content, read = FILES[kind]
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    read(path)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(data=st.data())
    def check(data):
        path.write_bytes(damage(data, content))
        try:
            read(path)
        except InputError as error:
            assert path.name in str(error)
            assert '\n' not in str(error)
        except AssertionError:
            # decoded to another size or other ids
            assert kind in ('image', 'photograph', 'split')

    check()
