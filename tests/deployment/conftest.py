"""A checkpoint of the small MCL config, with weights as they were drawn, and images for it."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from PIL import Image

from mlcl_mmseg.deployment.predictor import Predictor
from mlcl_mmseg.deployment.segmentor import load_segmentor
from mlcl_mmseg.labels import label_space

from ..conftest import draw_scene
from ..tools.calling import CONFIGS

SMALL_MLCL = CONFIGS / 'small_mlcl.py'


@pytest.fixture(scope='session')
def config():
    return Config.fromfile(SMALL_MLCL)


@pytest.fixture(scope='session')
def checkpoint(config, tmp_path_factory):
    """What a training would leave: all heads, an optimiser's state, meta."""
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    state_dict = model.state_dict()
    momentum = {index: torch.zeros_like(each) for index, each in enumerate(model.parameters())}
    meta = dict(
        iter=4,
        cfg='',
        dataset_meta={**label_space(7)._asdict(), 'targets': model.targets},
    )
    path = tmp_path_factory.mktemp('checkpoint') / 'best.pth'
    torch.save(dict(meta=meta, state_dict=state_dict, optimizer=dict(state=momentum)), path)
    return path


@pytest.fixture(scope='session')
def predictor(config, checkpoint):
    return Predictor(load_segmentor(config, str(checkpoint)), config)


@pytest.fixture(scope='session')
def images(tmp_path_factory):
    """Five images of three sizes and two formats, some in a sub-folder."""
    folder = tmp_path_factory.mktemp('images')
    rng = np.random.default_rng(0)
    ids = dict(sky=0, building=1, road=3, car=8)
    (folder / 'town/north').mkdir(parents=True)
    for name, size in {
        'a.png': (48, 32),
        'b.JPG': (48, 32),
        'town/c.png': (101, 67),
        'town/north/d.png': (30, 57),
        'town/north/e.png': (640, 320),
    }.items():
        image, _ = draw_scene(rng, ids, np.ones(3), size)
        Image.fromarray(image).save(folder / name)
    (folder / 'notes.txt').write_text('no image', encoding='utf-8')
    return folder
