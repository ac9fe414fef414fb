import gc
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS
from PIL import Image

from mlcl_mmseg.datasets import cityscapes, gta5, idd, mapillary
from mlcl_mmseg.labels import RawLabels

WIDTH, HEIGHT = 48, 24
LOAD = dict(
    type='LoadImageFromFile',
    imdecode_backend='pillow',
    color_type='color_ignore_orientation',
)
LOAD_LABEL = dict(type='LoadRawLabel')
RESIZE = dict(type='Resize', scale=(32, 16), keep_ratio=False, backend='pillow')
LABELLED = [LOAD, LOAD_LABEL, RESIZE, dict(type='MapLabels')]
UNLABELLED = [LOAD, RESIZE]
META = dict(
    type='mmseg.PackSegInputs',
    meta_keys=('img_path', 'ori_shape', 'img_shape', 'scale_factor', 'domain', 'sample_name'),
)
WEAK = dict(type='WeakAugmentation', crop_size=(16, 8))
PACK = dict(type='PackDomainInputs')


class Layout(NamedTuple):
    """Where a data set keeps its files."""

    type: str
    raw_labels: RawLabels
    image: str
    label: str
    frames: tuple[str, ...]
    training: str = 'train'
    validation: str = 'val'
    palette: bool = False


LAYOUTS = {
    'gta5': Layout(
        'GTA5Domain',
        gta5.RAW_LABELS,
        'images/{frame}.png',
        'labels/{frame}.png',
        ('00001', '00002', '00007'),
        training='all',
        validation='all',
        palette=True,
    ),
    'cityscapes': Layout(
        'CityscapesDomain',
        cityscapes.RAW_LABELS,
        'leftImg8bit/{split}/{frame}_leftImg8bit.png',
        'gtFine/{split}/{frame}_gtFine_labelIds.png',
        ('aachen/aachen_000000_000019', 'aachen/aachen_000001_000019', 'ulm/ulm_000000_000019'),
    ),
    'mapillary': Layout(
        'MapillaryDomain',
        mapillary.RAW_LABELS,
        '{split}/images/{frame}.jpg',
        '{split}/v1.2/labels/{frame}.png',
        ('Yz-b', '_0aQ', 'x_1'),
        training='training',
        validation='validation',
        palette=True,
    ),
    'idd': Layout(
        'IDDDomain',
        idd.RAW_LABELS,
        'leftImg8bit/{split}/{frame}_leftImg8bit.png',
        'gtFine/{split}/{frame}_gtFine_labelids.png',
        ('0/005506', '0/024541', '119/903127'),
    ),
}
DATA_SETS = tuple(LAYOUTS)


def write_image(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def write_label(path, ids, palette=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(ids)
    if palette:
        # putpalette turns 'L' into 'P'; the colours must not matter
        image.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
        assert image.mode == 'P'
    image.save(path)


def random_pixels(seed, height=HEIGHT, width=WIDTH):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def random_ids(seed, name, height=HEIGHT, width=WIDTH):
    """Raw ids of a data set."""
    ids = np.array(list(LAYOUTS[name].raw_labels), np.uint8)
    return np.random.default_rng(seed).choice(ids, (height, width))


def build_domain(name, root, role='validation', num_classes=19, **options):
    """One of the four data sets, with the pipeline that its role needs."""
    options.setdefault('pipeline', UNLABELLED if role == 'target' else LABELLED)
    config = dict(
        type=LAYOUTS[name].type, data_root=root, num_classes=num_classes, role=role, **options
    )
    return DATASETS.build(config)


def expected_label(number, name, num_classes, size=(32, 16)):
    """Class indices of a frame that :func:`make_tree` wrote, as RESIZE leaves them."""
    raw_labels = LAYOUTS[name].raw_labels
    ids = np.asarray(
        Image.fromarray(random_ids(number, name)).resize(size, Image.Resampling.NEAREST)
    )
    column = {7: 1, 19: 2}[num_classes]
    return np.array([[raw_labels[i][column] for i in row] for row in ids.tolist()])


@pytest.fixture(scope='package', autouse=True)
def frozen_imports():
    """BaseDataset collects garbage when it is built: spare it all that has been imported."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def make_tree(tmp_path):
    """Write a data set as downloaded, return its root; ids are a function of the frame's number."""

    def make(name, root=None, labels=True, splits=None, **changes) -> Path:
        layout = LAYOUTS[name]._replace(**changes)
        root = root or tmp_path / name
        for split in splits or sorted({layout.training, layout.validation}):
            for number, frame in enumerate(layout.frames):
                where = dict(split=split, frame=frame)
                write_image(root / layout.image.format(**where), random_pixels(number))
                if labels:
                    write_label(
                        root / layout.label.format(**where),
                        random_ids(number, name),
                        layout.palette,
                    )
        return root

    return make


@pytest.fixture
def data(make_tree):
    """GTA5 as source, Mapillary (JPEG) and IDD (PNG) as targets: the folder they lie in."""
    (root,) = {make_tree(name).parent for name in ('gta5', 'mapillary', 'idd')}
    return root


@pytest.fixture
def config(make_tree):
    """GTA5 to Cityscapes and IDD; IDD has labels for validation, Cityscapes for training too."""
    roots = dict(gta5=make_tree('gta5'), cityscapes=make_tree('cityscapes'))
    roots['idd'] = make_tree('idd', splits=['train'], labels=False)
    make_tree('idd', root=roots['idd'], splits=['val'])
    source, *targets = (
        dict(type=LAYOUTS[name].type, data_root=str(root), num_classes=7)
        for name, root in roots.items()
    )
    train = dict(
        type='MultiDomainDataset',
        source=source,
        targets=targets,
        source_pipeline=[*LABELLED, WEAK, PACK],
        target_pipeline=[
            *(*UNLABELLED, dict(type='LoadSoftPseudoLabel'), WEAK),
            *(dict(type='StrongAugmentation'), PACK),
        ],
    )
    validation = dict(type='MultiDomainValidation', domains=targets, pipeline=[*LABELLED, META])
    full_resolution = [*UNLABELLED, LOAD_LABEL, dict(type='MapLabels'), META]
    return Config(
        dict(
            train_dataloader=dict(dataset=train),
            val_dataloader=dict(dataset=validation),
            test_dataloader=dict(dataset={**validation, 'pipeline': full_resolution}),
        ),
        cfg_text='as below',
        filename='own.py',
    )
