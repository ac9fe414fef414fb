"""Mapillary Vistas: its folders and the versions of its labels."""

import numpy as np
import pytest

from .conftest import HEIGHT, WIDTH, build_domain, expected_label, random_ids, write_label


@pytest.mark.parametrize('labels', ['v1.2/labels', 'labels'])
@pytest.mark.parametrize('training', ['training', 'train'])
def test_mapillary_layouts(make_tree, training, labels):
    root = make_tree(
        'mapillary',
        splits=[training, 'validation'],
        label='{split}/' + labels + '/{frame}.png',
    )
    for role in ('source', 'validation'):
        label = build_domain('mapillary', root, role)[1]['gt_seg_map']
        np.testing.assert_array_equal(label, expected_label(1, 'mapillary', 19))
    assert len(build_domain('mapillary', root, 'target')) == 3


def test_mapillary_prefers_the_v12_labels(make_tree):
    root = make_tree('mapillary')
    write_label(root / 'validation' / 'labels' / 'Yz-b.png', np.full((HEIGHT, WIDTH), 120, 'u1'))
    label = build_domain('mapillary', root)[0]['gt_seg_map']
    np.testing.assert_array_equal(label, expected_label(0, 'mapillary', 19))


def test_mapillary_refuses_ids_of_v2(make_tree):
    root = make_tree('mapillary')
    path = root / 'validation' / 'v1.2' / 'labels' / '_0aQ.png'
    ids = random_ids(1, 'mapillary')
    ids[HEIGHT // 2 :] = 66
    write_label(path, ids, palette=True)
    domain = build_domain('mapillary', root)
    assert domain[0]['gt_seg_map'].shape == (16, 32)
    with pytest.raises(ValueError, match=r'_0aQ\.png has the label id 66, but .* v1\.2 is 65'):
        domain[1]


def test_mapillary_with_v2_only(make_tree):
    root = make_tree('mapillary', label='{split}/v2.0/labels/{frame}.png')
    with pytest.raises(FileNotFoundError, match=r'neither v1\.2/labels nor labels.*of v2\.0 have'):
        build_domain('mapillary', root)
    assert len(build_domain('mapillary', root, 'target')) == 3
