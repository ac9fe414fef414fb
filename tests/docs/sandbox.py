"""A checkout as a reader has it after `make demo` and a training of g2ci, in miniature.

Configs are those of the project with a thin network, small images and two iterations; all else is
what the reader has: the tools, four data sets in `data` (toy worlds), what trainings left in
`work_dirs`, a folder of images, an environment `.venv`.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from PIL import Image

from ..methods.mcl.released.test_checkpoint import release
from ..tools.test_train_and_test import SRUN
from .pages import PAGES, ROOT, files_of
from .warm_python import WarmPython, write_client

LINKED = ('tests', 'pyproject.toml', 'README.md')
COPIED = ('mlcl_mmseg', 'tools', 'docs', 'Makefile', 'constraints.txt', 'constraints-classic.txt')
# nothing is written there
READ = ('mlcl_mmseg', 'tools', 'docs', 'tests', '.venv', '.venv-classic')
# in the configs
SMALLER = {
    r'working_size = \(\d+, \d+\)': 'working_size = (64, 32)',
    r'crop_size = \(\d+, \d+\)': 'crop_size = (32, 16)',
    r'num_workers=\d+': 'num_workers=0',
    r'batch_size=4,': 'batch_size=4, num_workers=0,',
    r'depth=101': 'depth=18, base_channels=8, stem_channels=8',
    r'base_channels=16, stem_channels=16': 'base_channels=8, stem_channels=8',
    r'in_channels=2048': 'in_channels=64, channels=32',
    r'in_channels=128, channels=64': 'in_channels=64, channels=32',
    r'torchvision://resnet101': 'resnet101-63fe2227.pth',
    # print_config tells the two schedules apart
    r'\bmax_iters=60000': 'max_iters=2',
    r'\bend=60001': 'end=3',
    r'\bmax_iters=[48]00': 'max_iters=3',
    r'\bend=[48]01': 'end=4',
    r'\binterval=\d{1,2}\b': 'interval=1',
    r'interval=10000?\b': 'interval=2',
    r'interval=[12]00\b': 'interval=3',
}
# in other files
SMALLER_CODE = {
    'tools/demo.py': ('(IMAGES, VALIDATION_IMAGES, SIZE) = .*', r'\1 = 3, 2, (64, 32)'),
    'mlcl_mmseg/benchmark/inputs.py': (r'\bFRAME = .*', 'FRAME = (64, 32)'),
}


class Sandbox:
    """A folder to paste commands in.

    Args:
        folder (Path): The folder.
        python (WarmPython): What runs Python in it.
    """

    def __init__(self, folder: Path, python: WarmPython) -> None:
        self.folder = folder
        self.python = python

    def run(self, *commands: str) -> list[str]:
        """Run commands one after the other in one shell.

        Returns:
            list[str]: What each has printed.

        Raises:
            AssertionError: If one fails.
        """
        mark = 'end of a command'
        checked = [f'{{ {each}\n}} || exit\necho; echo {mark}' for each in commands]
        done = subprocess.run(
            ['bash', '-o', 'pipefail', '-O', 'expand_aliases', '-c', '\n'.join(checked)],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        *outputs, rest = done.stdout.split(f'\n{mark}\n')
        assert done.returncode == 0, f'{commands[len(outputs)]}\n{rest[-4000:]}'
        return outputs

    def environment(self) -> dict[str, str]:
        """That of a shell in which the environment of the checkout is active."""
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        environment = self.python.environment(
            OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='', COLUMNS='200', PORT=str(port)
        )
        programs = self.folder / '.venv/bin'
        environment['PATH'] = f'{programs}:{environment["PATH"]}'
        return {
            name: value
            for name, value in environment.items()
            if not name.startswith(('MLCL_', 'PYTHON'))
        }


@contextmanager
def make_sandbox(folder: Path, address: Path) -> Iterator[Sandbox]:
    """Make the sandbox, by the commands that its reader has used; its Python ends with it."""
    write_checkout(folder)
    write_curves(folder)
    write_pretrained(folder)
    with WarmPython(folder, address) as python:
        sandbox = Sandbox(folder, python)
        sandbox.run('python tools/make_toy_data.py data --images 3 --val-images 2 --size 64x32')
        write_images(folder)
        write_polygons(folder)
        sandbox.run('python tools/train.py configs/mlcl/g2ci.py', 'make demo')
        (best,) = folder.glob('work_dirs/warmup/g2ci/best_*.pth')
        shutil.copy(best, folder / 'warmup.pth')
        write_released(folder)
        for seed in range(3):
            copy_tree(folder / 'work_dirs/demo/mlcl', folder / f'seed_{seed}/mlcl')
        yield sandbox


def copy_tree(source: Path, destination: Path) -> None:
    """Copy a folder; checkpoints, which nothing changes in place, are linked."""

    def copy(source, destination):
        (os.link if source.endswith('.pth') else shutil.copy2)(source, destination)

    shutil.copytree(source, destination, symlinks=True, copy_function=copy)


def copy_sandbox(sandbox: Sandbox, folder: Path) -> Sandbox:
    """One whose commands change nothing in the first; what they only read is linked."""
    folder.mkdir()
    for path in sandbox.folder.iterdir():
        if path.name in READ:
            (folder / path.name).symlink_to(path)
        elif path.is_dir():
            copy_tree(path, folder / path.name)
        else:
            shutil.copy2(path, folder / path.name)
    return Sandbox(folder, sandbox.python)


def write_checkout(folder: Path) -> None:
    """The project's files with smaller configs, and an environment."""
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    modules = [path.name for path in ROOT.glob('*.py')]
    for name in (*COPIED, *modules):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    shipped = ROOT.glob('configs/**/*.py')
    configs = {str(path.relative_to(ROOT)): path.read_text() for path in shipped}
    configs |= {path: text for page in PAGES for path, text in files_of(page)}
    for path, text in configs.items():
        for old, new in SMALLER.items():
            text = re.sub(old, new, text)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for path, (old, new) in SMALLER_CODE.items():
        text, found = re.subn(old, new, (folder / path).read_text())
        assert found == 1, f'{path} has no {old}'
        (folder / path).write_text(text)

    programs = folder / '.venv/bin'
    programs.mkdir(parents=True)
    write_client(programs / 'python')
    (programs / 'python3').symlink_to('python')
    (programs / 'activate').write_text('')
    scripts = re.findall(r'^(\w+) = "(\w+):(\w+)"', (ROOT / 'pyproject.toml').read_text(), re.M)
    for name, module, function in scripts:
        code = f'#!/usr/bin/env python\nfrom {module} import {function}\n{function}()\n'
        (programs / name).write_text(code)
        (programs / name).chmod(0o755)
    (programs / 'srun').write_text(SRUN)
    (programs / 'srun').chmod(0o755)
    # that make has made it
    (folder / '.venv/.ready-{}.{}'.format(*sys.version_info)).touch()
    (folder / '.venv-classic').symlink_to('.venv')


def write_images(folder: Path) -> None:
    """Images of the reader, and a domain with labels."""
    rng = np.random.default_rng(0)
    names = ['image.png', 'street/a.jpg', 'street/north/b.jpg']
    names += [f'data/my_city/{name}.jpg' for name in ('a', 'b', 'north/c', 'north/d')]
    names += [f'data/dusk/{split}/images/{name}.png' for split in ('train', 'val') for name in 'ab']
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 70, 3), np.uint8)).save(folder / name)
    for image in (folder / 'data/dusk').rglob('*.png'):
        label = image.parents[1] / 'labels' / image.name
        label.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.choice([0, 1, 3], (40, 70)).astype(np.uint8)).save(label)


def write_polygons(folder: Path) -> None:
    """Those of one more frame of IDD, which has no label image yet."""
    path = folder / 'data/IDD_Segmentation/gtFine/train/1/000000_gtFine_polygons.json'
    path.parent.mkdir()
    road = dict(label='road', polygon=[[0, 0], [64, 0], [64, 32], [0, 32]])
    path.write_text(json.dumps(dict(imgHeight=32, imgWidth=64, objects=[road])))


def write_curves(folder: Path) -> None:
    """The authors' curves with our two iterations in place of 60 000."""
    path = folder / 'mlcl_mmseg/methods/mcl/released/published_curves.json'
    curves = json.loads(path.read_text())
    for curve in curves.values():
        rows = curve['validation'][-2:]
        curve['validation'] = [[number, *row[1:]] for number, row in enumerate(rows, 1)]
    path.write_text(json.dumps(curves))


def write_pretrained(folder: Path) -> None:
    """The ImageNet weights of the thin ResNet."""
    backbone = Config.fromfile(folder / 'configs/warmup/g2ci.py').model.backbone
    state_dict = MODELS.build({**backbone, 'init_cfg': None}).state_dict()
    torch.save(state_dict, folder / 'resnet101-63fe2227.pth')


def write_released(folder: Path) -> None:
    """A checkpoint as the released program would store it."""
    config = Config.fromfile(folder / 'configs/mlcl/g2ci.py')
    torch.save(release(MODELS.build(config.model)), folder / 'g2ci.pkl')
