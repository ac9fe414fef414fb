"""The wheel and the sources, and what one has who installs the wheel without the checkout."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

import mlcl_mmseg
from mlcl_mmseg.toy_world import write_toy_world

ROOT = Path(__file__).parents[1]
STEPS = [
    'train_cfg.max_iters=2',
    'train_cfg.val_interval=2',
    'default_hooks.checkpoint.interval=2',
    'train_dataloader.num_workers=0',
    'val_dataloader.num_workers=0',
]


def build(source, out, *targets):
    """Build from a folder of sources with the build backend of this environment."""
    options = [option for target in targets for option in ('-t', target)]
    command = [sys.executable, '-m', 'hatchling', 'build', '-d', str(out), *options]
    subprocess.run(command, cwd=source, check=True, capture_output=True)


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """The wheel and the archive of the sources."""
    out = tmp_path_factory.mktemp('built')
    build(ROOT, out, 'sdist', 'wheel')
    (wheel,), (sources,) = out.glob('*.whl'), out.glob('*.tar.gz')
    return wheel, sources


@pytest.fixture(scope='module')
def installed(built, tmp_path_factory):
    """Folder of the commands of an environment with the wheel and what it depends on.

    It finds dependencies where this environment has them. A .pth file there, such as the one of an
    editable installation, is not read, so that nothing leads to the checkout; but that of
    setuptools has to be, by which Python 3.12 has the distutils that MMEngine imports.
    """
    folder = tmp_path_factory.mktemp('installed')
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', folder], check=True)
    python = folder / 'bin/python'
    options = ['--no-deps', '--no-index', '--quiet', str(built[0])]
    subprocess.run(
        [sys.executable, '-m', 'pip', '--python', str(python), 'install', *options], check=True
    )
    (packages,) = folder.glob('lib/*/site-packages')
    others = [path for path in sys.path if Path(path).name in ('site-packages', 'dist-packages')]
    (packages / 'dependencies.pth').write_text('\n'.join(others))
    for path in others:
        for distutils in Path(path).glob('distutils-precedence.pth'):
            shutil.copy(distutils, packages)
    return folder / 'bin'


def call(command, folder, **environment):
    """Run a command in a folder; what it prints to standard output and to standard error."""
    kept = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**kept, 'OMP_NUM_THREADS': '1', **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout, done.stderr


def files_of(folder):
    """``{path below the folder: content}`` of all but what Python leaves."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file() and path.suffix != '.pyc'
    }


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel(built):
    """The package, with all configs and tools inside, its command, and nothing else."""
    expected = {
        'mlcl_command.py': (ROOT / 'mlcl_command.py').read_bytes(),
        **{f'mlcl_mmseg/{name}': each for name, each in files_of(ROOT / 'mlcl_mmseg').items()},
        **{f'mlcl_mmseg/configs/{name}': each for name, each in files_of(ROOT / 'configs').items()},
        **{f'mlcl_mmseg/tools/{name}': each for name, each in files_of(ROOT / 'tools').items()},
    }
    metadata = f'mlcl_mmseg-{mlcl_mmseg.__version__}.dist-info/'
    found = contents(built[0])
    assert {name: each for name, each in found.items() if not name.startswith(metadata)} == expected
    kinds = {PurePosixPath(name).suffix for name in expected}
    assert kinds == {'.py', '.sh', '.json', '.css', '.typed'}
    with zipfile.ZipFile(built[0]) as archive:
        for script in (name for name in expected if name.endswith('.sh')):
            assert archive.getinfo(script).external_attr >> 16 & 0o111, script


@pytest.mark.skipif(
    not (ROOT / '.git').exists() or shutil.which('git') is None, reason='this is no repository'
)
def test_the_sources_are_those_of_the_repository(built):
    listing = ['git', 'ls-files', '--cached', '--exclude-standard']
    committed, new = (
        set(subprocess.check_output([*listing, *option], cwd=ROOT, text=True).splitlines())
        for option in ([], ['--others'])
    )
    with tarfile.open(built[1]) as archive:
        found = {name.split('/', 1)[1] for name in archive.getnames()} - {'PKG-INFO'}
    assert found >= {name for name in committed if not name.startswith('.ci/')}
    assert found <= committed | new


def test_the_sources_give_the_same_wheel(built, tmp_path):
    with tarfile.open(built[1]) as archive:
        archive.extractall(tmp_path, filter='data')
    (source,) = tmp_path.iterdir()
    build(source, tmp_path / 'again', 'wheel')
    (again,) = (tmp_path / 'again').glob('*.whl')
    assert contents(again) == contents(built[0])


def test_the_command_and_a_config(installed, tmp_path):
    """In an empty folder, from the installed files."""
    listed, _ = call([installed / 'mlcl'], tmp_path)
    names = {path.stem for path in (ROOT / 'tools').rglob('*.*') if path.suffix != '.pyc'}
    assert {line.split()[0] for line in listed.splitlines()[2:]} == names
    printed, said = call([installed / 'mlcl', 'print_config', 'configs/demo/mlcl.py'], tmp_path)
    (line,) = (line for line in said.splitlines() if line.startswith('configs/demo/mlcl.py'))
    used = Path(line.removesuffix(' is used.').split()[-1])
    assert used.is_relative_to(installed.parent)
    assert used.match('site-packages/mlcl_mmseg/configs/demo/mlcl.py')
    assert "work_dir = 'work_dirs/demo/mlcl'" in printed
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_training(installed, tmp_path):
    """Both stages of the demo, into the folder where it is started."""
    write_toy_world(tmp_path / 'data', 4, (256, 128), 0, 1, num_workers=1)
    options = [*STEPS, *(f'warmup.{step}' for step in STEPS)]
    call(
        [installed / 'mlcl', 'train', 'configs/demo/mlcl.py', '--cfg-options', *options],
        tmp_path,
        MLCL_DATA_ROOT=str(tmp_path / 'data'),
    )
    for stage in ('warmup', 'mlcl'):
        work_dir = tmp_path / 'work_dirs/demo' / stage
        assert (work_dir / 'iter_2.pth').is_file()
        complete = json.loads((work_dir / 'complete.json').read_text())
        assert (work_dir / Path(complete['best_checkpoint']).name).is_file()
