import json
from pathlib import Path

import numpy as np
import pytest

from mlcl_mmseg.datasets import cityscapes, gta5, idd, mapillary
from mlcl_mmseg.labels import (
    IGNORE_INDEX,
    LABEL_SPACES,
    label_space,
    lookup_table,
    raw_label_map,
)

SPECIFICATION = Path(__file__).parents[1] / 'golden' / 'data' / 'label_maps.json'
RAW_LABELS = {
    'gta5': gta5.RAW_LABELS,
    'cityscapes': cityscapes.RAW_LABELS,
    'mapillary_v1.2': mapillary.RAW_LABELS,
    'idd': idd.RAW_LABELS,
}


@pytest.mark.parametrize('num_classes', [7, 19])
@pytest.mark.parametrize('raw_labels', list(RAW_LABELS))
def test_tables_are_the_published_ones(raw_labels, num_classes):
    rows = json.loads(SPECIFICATION.read_text())[raw_labels]
    expected = np.full(256, IGNORE_INDEX)
    for row in rows:
        expected[row['id']] = row[f'c{num_classes}']
    label_map = raw_label_map(RAW_LABELS[raw_labels], num_classes)

    assert list(label_map) == [row['id'] for row in rows]
    assert [RAW_LABELS[raw_labels][row['id']][0] for row in rows] == [row['name'] for row in rows]
    np.testing.assert_array_equal(lookup_table(label_map), expected)


@pytest.mark.parametrize('num_classes', [7, 19])
def test_classes_and_palettes_are_the_published_ones(num_classes):
    specification = json.loads(SPECIFICATION.read_text())
    space = label_space(num_classes)
    assert list(space.classes) == specification[f'classes_{num_classes}']
    assert [list(colour) for colour in space.palette] == specification[f'palette_{num_classes}']


def test_terrain_differs_between_data_sets():
    """method.md §6-Q3: it defines the benchmark."""
    classes_7 = LABEL_SPACES[7].classes
    where = {}
    for raw_labels, rows in RAW_LABELS.items():
        for name, of_7, _ in rows.values():
            if name.lower() == 'terrain':
                where[raw_labels] = classes_7[of_7]
    assert where == {'gta5': 'flat', 'cityscapes': 'nature', 'mapillary_v1.2': 'flat'}


@pytest.mark.parametrize('raw_labels', list(RAW_LABELS))
def test_terrain_is_a_class_of_its_own_among_19(raw_labels):
    terrain = LABEL_SPACES[19].classes.index('terrain')
    names = {name for name, _, index in RAW_LABELS[raw_labels].values() if index == terrain}
    assert {name.lower() for name in names} == (
        {'non-drivable fallback'} if raw_labels == 'idd' else {'terrain'}
    )


@pytest.mark.parametrize('num_classes', [7, 19])
@pytest.mark.parametrize('raw_labels', list(RAW_LABELS))
def test_ids_outside_the_table_are_ignored(raw_labels, num_classes):
    table = lookup_table(raw_label_map(RAW_LABELS[raw_labels], num_classes))
    assert table.shape == (256,) and table.dtype == np.uint8
    assert (table[max(RAW_LABELS[raw_labels]) + 1 :] == IGNORE_INDEX).all()
    assert set(table.tolist()) <= {*range(num_classes), IGNORE_INDEX}


@pytest.mark.parametrize('raw_labels', list(RAW_LABELS))
def test_every_class_of_7_occurs_in_every_data_set(raw_labels):
    assert {*range(7)} <= set(raw_label_map(RAW_LABELS[raw_labels], 7).values())


def test_unknown_number_of_classes():
    with pytest.raises(ValueError, match='num_classes is 8, but .* be 7 or 19'):
        label_space(8)
    with pytest.raises(ValueError, match='num_classes is 8'):
        raw_label_map(gta5.RAW_LABELS, 8)
