"""GTA5 as source, Mapillary and IDD as targets, and what happens to their files."""

import re

import pytest
from mmseg.registry import DATASETS

from mlcl_mmseg.datasets import StreamPosition
from mlcl_mmseg.errors import InputError

from .conftest import LABELLED, LAYOUTS, UNLABELLED

SOURCE, TARGETS = 'gta5', ('mapillary', 'idd')


def config(root, name, **options):
    return dict(type=LAYOUTS[name].type, data_root=str(root / name), num_classes=7, **options)


def training_set(root, source=SOURCE, targets=TARGETS):
    """Of a source and targets by name; a target may be a config."""
    return DATASETS.build(
        dict(
            type='MultiDomainDataset',
            source=config(root, source),
            targets=[config(root, each) if isinstance(each, str) else each for each in targets],
            source_pipeline=LABELLED,
            target_pipeline=UNLABELLED,
        )
    )


def validation_set(root, *names, **options):
    domains = [config(root, name, **options) for name in names or TARGETS]
    return DATASETS.build(dict(type='MultiDomainValidation', domains=domains, pipeline=LABELLED))


def file(root, name, number, kind='image', validation=False):
    layout = LAYOUTS[name]
    split = layout.validation if validation else layout.training
    path = getattr(layout, kind).format(split=split, frame=layout.frames[number])
    return root / name / path


def read_epoch(dataset):
    for index in range(len(dataset)):
        dataset[StreamPosition(0, index)]


def truncate(path, keep=0.6):
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])


def cut_in_header(path):
    path.write_bytes(path.read_bytes()[:20])


def replace_by_text(path):
    path.write_text('Not Found')


def empty(path):
    path.write_bytes(b'')


def remove(path):
    path.unlink()


def break_checksum(path):
    content = bytearray(path.read_bytes())
    for place in range(content.index(b'IDAT') + 4, len(content) - 20):
        content[place] ^= 0xFF
    path.write_bytes(content)


def refused(*parts):
    """The error names ``parts`` in this order, in one line."""
    return pytest.raises(InputError, match='^[^\n]*' + '[^\n]*'.join(map(re.escape, parts)))


# what an image's header tells, and what only its pixels tell
HEADERS = (cut_in_header, replace_by_text, empty, remove)
PIXELS = (truncate, break_checksum)
