"""Prepare the data sets of a config, and tell whether they are read from there."""

from pathlib import Path

import pytest
from mmcv.transforms import LoadImageFromFile
from mmseg.registry import DATASETS

from mlcl_mmseg.datasets.prepare import prepare_config

from .conftest import LOAD, RESIZE

SIZE = '32x16'
ROOT = Path(__file__).parents[2]


def prepare_here(config, **options):
    """In this process: ``{data set: (images, new ones)}``."""
    found = prepare_config(config, num_workers=0, **options)
    return {Path(each.folder).parent.name: (each.images, each.made) for each in found}


def images_of(config, **options):
    """The first target, loaded as a preparation is."""
    defaults = dict(role='target', pipeline=[LOAD, RESIZE])
    target = config.train_dataloader.dataset.targets[0]
    return DATASETS.build({**target, **defaults, **options})


def is_read(domain):
    """Whether the images come from a preparation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LoadImageFromFile, 'transform', lambda *_: dict(img='decoded'))
        patch.setattr(type(domain.pipeline.transforms[1]), 'transform', lambda _, results: results)
        return [not isinstance(each['img'], str) for each in domain]
