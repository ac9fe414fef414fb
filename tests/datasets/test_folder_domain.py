"""A folder of images as a domain, by config alone."""

import numpy as np
from mmengine.config import Config
from mmseg.registry import DATASETS

from .conftest import LABELLED, random_pixels, write_image, write_label

FOLDER_CONFIG = """
pipeline = {pipeline}
domain = dict(
    type='FolderDomain',
    data_root={root!r},
    num_classes=7,
    role='validation',
    domain='camvid_night',
    split='night',
    image_dir='{{split}}/images',
    label_dir='{{split}}/labels',
    image_suffix='_image.jpg',
    label_suffix='_ids.png',
    label_map={{0: 4, 3: 0, 4: 0, 11: 255}},
    pipeline=pipeline,
)
"""


def test_folder_domain_joins_by_config(tmp_path):
    raw = np.random.default_rng(0).integers(0, 12, (16, 32), np.uint8)
    write_image(tmp_path / 'night' / 'images' / 'drive' / 'a_image.jpg', random_pixels(0, 16, 32))
    write_label(tmp_path / 'night' / 'labels' / 'drive' / 'a_ids.png', raw)
    file = tmp_path / 'config.py'
    file.write_text(FOLDER_CONFIG.format(pipeline=LABELLED, root=str(tmp_path)))
    config = Config.fromfile(file)
    dumped = tmp_path / 'dumped.py'
    config.dump(dumped)  # what a run leaves in its work_dir

    for domain in map(DATASETS.build, (config.domain, Config.fromfile(dumped).domain)):
        assert len(domain) == 1
        assert domain[0]['sample_name'] == 'drive/a_image'
        assert domain[0]['domain'] == 'camvid_night'
        expected = np.select([raw == 0, (raw == 3) | (raw == 4)], [4, 0], 255)
        np.testing.assert_array_equal(domain[0]['gt_seg_map'], expected)


def test_folder_domain_takes_class_indices_without_a_map(tmp_path):
    raw = np.random.default_rng(0).integers(0, 12, (16, 32), np.uint8)
    write_image(tmp_path / 'images' / 'a.png', random_pixels(0, 16, 32))
    write_label(tmp_path / 'labels' / 'a.png', raw)
    domain = DATASETS.build(
        dict(
            type='FolderDomain',
            data_root=tmp_path,
            num_classes=7,
            role='source',
            domain='toy',
            pipeline=LABELLED,
        )
    )
    np.testing.assert_array_equal(domain[0]['gt_seg_map'], np.where(raw < 7, raw, 255))
