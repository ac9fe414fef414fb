import importlib
from pathlib import Path
from types import SimpleNamespace

import mmengine.config.config
import numpy as np
import pytest
import torch
from mmengine.dataset import base_dataset
from mmseg.utils import register_all_modules
from PIL import Image
from yapf.yapflib import yapf_api

import mlcl_mmseg  # noqa: F401

TOOLS = Path(__file__).parents[1] / 'tools'

register_all_modules()
# PyTorch counts devices at its first backward pass, after an export also those that are not there;
# then processes that tests fork could not train
torch.ones(1, requires_grad=True).sum().backward()


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope='session')
def no_garbage_collection_by_data_sets():
    """Each collects when it is built, a quarter of a second in a process of many tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base_dataset, 'gc', SimpleNamespace(collect=lambda: 0))
        yield


@pytest.fixture(autouse=True, scope='session')
def no_formatting_of_configs():
    """MMEngine formats a config some five times a run, two thirds of a second each."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (yapf_api, mmengine.config.config):
            patch.setattr(module, 'FormatCode', lambda text, **_: (text, True), raising=False)
        yield


@pytest.fixture
def run_tool(monkeypatch):
    """Run a tool in this process: its path below tools/ and its arguments."""

    def run(tool, *arguments):
        path = TOOLS / tool
        monkeypatch.syspath_prepend(path.parent)
        monkeypatch.setattr('sys.argv', [str(path), *map(str, arguments)])
        importlib.import_module(path.stem).main()

    return run


def draw_scene(rng: np.random.Generator, ids: dict[str, int], tint: np.ndarray, size=(48, 32)):
    """Sky, a building, road and a car, coloured by what they are and by the domain's tint."""
    width, height = size
    colours = dict(
        sky=(120, 170, 220), building=(110, 90, 80), road=(90, 90, 100), car=(30, 30, 150)
    )
    label = np.full((height, width), ids['sky'], np.uint8)
    label[height // 4 :, : rng.integers(width // 3, width)] = ids['building']
    label[height * 2 // 3 :] = ids['road']
    x = rng.integers(0, width - 10)
    label[-12:-4, x : x + 10] = ids['car']
    image = np.zeros((height, width, 3))
    for name, colour in colours.items():
        image[label == ids[name]] = colour
    image = image * tint + rng.normal(0, 12, image.shape)
    return image.clip(0, 255).astype(np.uint8), label


@pytest.fixture(scope='session')
def toy_data(tmp_path_factory) -> Path:
    """Drawn scenes in the folders that tests/configs/real_images.py reads."""
    root = tmp_path_factory.mktemp('toy')
    rng = np.random.default_rng(0)
    camvid = dict(sky=0, building=1, road=3, car=8)
    drives = dict(day_0016E5=(7, 1.0), day_0006R0=(5, 0.8), dusk_0001TP=(3, 0.5))
    for drive, (count, brightness) in drives.items():
        for kind in ('images', 'labels'):
            (root / 'camvid' / drive / kind).mkdir(parents=True)
        for index in range(count):
            image, label = draw_scene(rng, camvid, np.array([1, 1, 0.9]) * brightness)
            Image.fromarray(image).save(root / 'camvid' / drive / 'images' / f'{index}.png')
            Image.fromarray(label).save(root / 'camvid' / drive / 'labels' / f'{index}.png')
    for kind in ('leftImg8bit', 'gtFine'):
        (root / 'cityscapes' / kind / 'train' / 'aachen').mkdir(parents=True)
    for index in range(4):
        image, label = draw_scene(
            rng, dict(sky=23, building=11, road=7, car=26), np.array([0.7, 0.9, 0.7])
        )
        for kind, suffix, array in (
            ('leftImg8bit', 'leftImg8bit', image),
            ('gtFine', 'gtFine_labelIds', label),
        ):
            folder = root / 'cityscapes' / kind / 'train' / 'aachen'
            Image.fromarray(array).save(folder / f'frame_{index}_{suffix}.png')
    return root
