"""Tools that are killed while they write end, when started again, like tools that never were."""

import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from PIL import Image

from ..conftest import draw_scene
from .calling import CONFIGS
from .idd_frames import EVERYWHERE, polygon, write_polygons

FORK = multiprocessing.get_context('fork')


@pytest.fixture
def launch(run_tool):
    """Run a tool in a process of its own, which may be killed at its n-th finished file."""

    def launch(*command, killed_at=None):
        process = FORK.Process(target=run_and_be_killed, args=(run_tool, command, killed_at))
        process.start()
        process.join(120)
        return process.exitcode

    return launch


def run_and_be_killed(run_tool, command, killed_at):
    # a kill of this process alone would leave its worker processes
    os.setsid()
    replace, calls = os.replace, []

    def replace_or_die(*paths):
        calls.append(paths)
        if len(calls) == killed_at:
            os.killpg(0, signal.SIGKILL)
        replace(*paths)

    os.replace = replace_or_die
    run_tool(*command)


def files_of(folder):
    """What is in a folder, without locks and partial files, whose names begin with a dot."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder).rglob('[!.]*')
        if path.is_file()
    }


def converter(folder, data):
    for number in range(6):
        write_polygons(folder / 'idd', polygon('road', EVERYWHERE), frame=f'0/{number}')
    return ('dataset_converters/idd.py', folder / 'idd', '--workers', 1), folder / 'idd'


def preparation(folder, data):
    config = CONFIGS / 'small_warmup.py'
    out = folder / 'copies'
    return ('dataset_converters/prepare.py', config, '--out', out, '--workers', 0), out


def prediction(folder, data):
    config = Config.fromfile(CONFIGS / 'small_source_only.py')
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    torch.save(dict(state_dict=model.state_dict()), folder / 'x.pth')
    (folder / 'images').mkdir()
    rng = np.random.default_rng(0)
    ids = dict(sky=0, building=1, road=3, car=8)
    for number in range(4):
        image, _ = draw_scene(rng, ids, np.ones(3))
        Image.fromarray(image).save(folder / f'images/{number}.png')
    command = ('predict.py', CONFIGS / 'small_source_only.py', folder / 'x.pth')
    return (*command, folder / 'images', '--out', folder / 'out', '--skip-existing'), folder / 'out'


def check(folder, data):
    command = ('check_data.py', CONFIGS / 'small_warmup.py', '--workers', 1)
    out = folder / 'report'
    return (*command, '--json', out / 'x.json', '--chart', out / 'x.png', '--overwrite'), out


@pytest.mark.slow
@pytest.mark.parametrize('tool', [converter, preparation, prediction, check])
def test_killed_and_started_again(tmp_path, launch, toy_data, monkeypatch, tool):
    monkeypatch.setenv('MLCL_REAL_DATA', str(toy_data))
    command, out = tool(tmp_path, toy_data)
    # check_data ends with 1, since these domains share images
    code = launch(*command)
    expected = files_of(out)
    assert code in (0, 1) and expected
    for killed_at in (1, 2):
        shutil.rmtree(out)
        if tool is converter:
            tool(tmp_path, toy_data)
        assert launch(*command, killed_at=killed_at) == -signal.SIGKILL
        for name, content in files_of(out).items():
            # the manifest of a copy grows
            if name in expected and not name.endswith('prepared.json'):
                assert content == expected[name], name
        assert launch(*command) == code
        assert files_of(out) == expected
