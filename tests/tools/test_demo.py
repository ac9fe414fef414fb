"""The demo's parts at a size that a test can wait for; its figures are in docs/demo.md."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlcl_mmseg.toy_world import write_toy_world
from mlcl_mmseg.visualization.contact_sheet import GAP, MARGIN

ROOT = Path(__file__).parents[2]
OPTIONS = [
    'train_cfg.max_iters=2',
    'train_cfg.val_interval=2',
    'default_hooks.checkpoint.interval=2',
    'train_dataloader.num_workers=0',
    'val_dataloader.num_workers=0',
]


def test_demo(tmp_path, monkeypatch, capfd):
    monkeypatch.syspath_prepend(ROOT / 'tools')
    monkeypatch.setenv('MLCL_DATA_ROOT', str(tmp_path / 'data'))
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    import demo

    write_toy_world(tmp_path / 'data', 4, demo.SIZE, 0, 1, num_workers=1)
    seconds = demo.train(tmp_path, 0, OPTIONS)
    demo.report(tmp_path, seconds)

    report = json.loads((tmp_path / 'report.json').read_text())
    assert list(report) == ['seconds', 'stages']
    assert 0 < report['seconds'] == seconds
    assert list(report['stages']) == ['source_only', 'warmup', 'mlcl']
    printed = capfd.readouterr().out
    for stage, figures in report['stages'].items():
        assert list(figures) == ['cityscapes', 'mapillary', 'idd', 'mean']
        *domains, mean = figures.values()
        assert mean == pytest.approx(np.mean(domains))
        assert all(0 < value < 100 for value in domains)
        row = re.search(rf'^\| *{stage} *\|(.*)\|$', printed, re.M)[1]
        assert [float(cell) for cell in row.split('|')] == pytest.approx(
            list(figures.values()), abs=0.006
        )

    page = (tmp_path / 'report.html').read_text()
    assert f'{tmp_path / "report.html"} shows the runs' in printed
    for name in ('source_only', 'warmup', 'mlcl'):
        assert f'</i>{name}</span>' in page
        assert f'No images of {name}' not in page
    # of the one validation image of each target: image, truth and three predictions
    assert page.count('<img') == 3 * 5
    assert '<th scope="row">cityscapes</th>' in page

    picture = np.asarray(Image.open(tmp_path / 'picture.png'))
    width, height = demo.SIZE
    image = np.asarray(
        Image.open(tmp_path / 'data/IDD_Segmentation/leftImg8bit/val/0/000000_leftImg8bit.png')
    )
    bottom = len(picture) - MARGIN - GAP
    shown = picture[bottom - height : bottom, MARGIN : MARGIN + width]
    # the corner holds the domain's name
    assert np.array_equal(shown[:-20], image[:-20])
    assert picture.shape[1] == 2 * MARGIN + 5 * width + 4 * GAP
