"""IDD: its image formats and the labels that are made of its polygons."""

import numpy as np
import pytest
from PIL import Image

from .conftest import build_domain, expected_label


def test_idd_reads_png_and_jpg(make_tree):
    root = make_tree('idd')
    png = root / 'leftImg8bit' / 'val' / '0' / '024541_leftImg8bit.png'
    with Image.open(png) as image:
        image.save(png.with_suffix('.jpg'))
    png.unlink()
    domain = build_domain('idd', root)
    assert [sample['img_path'][-3:] for sample in domain] == ['png', 'jpg', 'png']
    for number, sample in enumerate(domain):
        np.testing.assert_array_equal(sample['gt_seg_map'], expected_label(number, 'idd', 19))


def test_idd_without_converted_labels_names_the_converter(make_tree):
    root = make_tree('idd', labels=False)
    with pytest.raises(FileNotFoundError, match=r'tools/dataset_converters/idd\.py .*idd'):
        build_domain('idd', root)
