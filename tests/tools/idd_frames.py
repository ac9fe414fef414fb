"""Polygon files of IDD, and the label images made of them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from mlcl_mmseg.datasets.idd import RAW_LABELS

CONVERTER = Path(__file__).parents[2] / 'tools' / 'dataset_converters' / 'idd.py'
WIDTH, HEIGHT = 40, 20
IDS = {name: raw_id for raw_id, (name, *_) in RAW_LABELS.items()}
EVERYWHERE = [[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]]
LEFT = [[0, 0], [9, 0], [9, HEIGHT - 1], [0, HEIGHT - 1]]  # columns 0 to 9


def polygon(label, corners, **more):
    return dict(label=label, polygon=corners, **more)


def write_polygons(root, *objects, split='train', frame='0/005506'):
    path = root / 'gtFine' / split / f'{frame}_gtFine_polygons.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    document = dict(imgHeight=HEIGHT, imgWidth=WIDTH, objects=objects)
    path.write_text(json.dumps(document), encoding='utf-8')
    return path


def label_image(root, split='train', frame='0/005506'):
    return root / 'gtFine' / split / f'{frame}_gtFine_labelids.png'


def read(path):
    with Image.open(path) as image:
        assert image.mode == 'L'
        return np.asarray(image)
