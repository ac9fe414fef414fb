"""A run that is killed and goes on ends as one that was never killed, bit by bit."""

import json
import multiprocessing
import os
import random
import signal
import time
from itertools import count
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner, ValLoop

from mlcl_mmseg.datasets.multi_domain import MultiDomainDataset
from mlcl_mmseg.engine import stages
from mlcl_mmseg.engine.hooks import DurableCheckpointHook, PseudoLabelHook
from mlcl_mmseg.engine.stage_files import COMPLETE
from mlcl_mmseg.pseudo_labels.store import PseudoLabelGeneration
from mlcl_mmseg.report.run import by_log

from ..same import assert_same
from ..small_run import load_config, skip_rehearsal

FORK = multiprocessing.get_context('fork')
ITERATIONS = 6
MACHINE = ('train/time', 'train/data_time', 'train/memory')


def make_stages(folder):
    """Configs of warm-up and MCL in a folder: 6 iterations each, saved and validated every 2."""
    configs = []
    for stage in ('warmup', 'mlcl'):
        options = {'custom_hooks.0.interval': 2} if stage == 'mlcl' else {}
        config = load_config(stage, folder / stage, ITERATIONS, 2, **options)
        config.default_hooks.logger.interval = 1
        # every start would read the headers of the same files
        del config.default_hooks['data_check']
        configs.append(config)
    return configs


def launch(configs, kill_after=None):
    """Train in a process of its own; True if it ended by itself."""
    process = FORK.Process(target=stages.train_stages, args=(configs, True))
    process.start()
    process.join(kill_after)
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode == 0


@pytest.fixture(autouse=True)
def data(toy_data, monkeypatch):
    monkeypatch.setenv('MLCL_REAL_DATA', str(toy_data))
    skip_rehearsal(monkeypatch)


@pytest.fixture(scope='module')
def uninterrupted(toy_data, tmp_path_factory):
    """Seconds, and what a run leaves that is not killed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MLCL_REAL_DATA', str(toy_data))
        skip_rehearsal(patch)
        start = time.perf_counter()
        configs = make_stages(tmp_path_factory.mktemp('whole'))
        assert launch(configs)
    return time.perf_counter() - start, [outcome(config.work_dir) for config in configs]


def outcome(work_dir):
    """All that must not differ at the end of a stage."""
    work_dir = Path(work_dir)
    checkpoint = torch.load(work_dir / f'iter_{ITERATIONS}.pth', weights_only=False)
    (best,) = work_dir.glob('best_*.pth')
    scalars = {
        name: buffer['history']
        for name, buffer in checkpoint['message_hub']['log_scalars'].items()
        if name.startswith('train/') and name not in MACHINE
    }
    logged = {}
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            figures = json.loads(line) if line.endswith('}') else {}
            kept = {key: each for key, each in figures.items() if f'train/{key}' not in MACHINE}
            kind = 'validation' if 'mIoU' in kept else 'training'
            logged[kind, kept.pop('step', None)] = kept
    logged.pop(('training', None), None)
    return dict(
        state_dict=checkpoint['state_dict'],
        optimizer=checkpoint['optimizer'],
        schedulers=checkpoint['param_schedulers'],
        scalars=scalars,
        logged=logged,
        best=(best.name, torch.load(best, weights_only=False)['state_dict']),
        complete=json.loads((work_dir / COMPLETE).read_text()),
        hidden=sorted(path.name for path in work_dir.glob('.*')),
        pseudo_labels={
            str(path.relative_to(work_dir)): path.read_bytes()
            for path in (work_dir / 'pseudo_labels').rglob('*.soft')
        },
        records={
            str(Path(*path.relative_to(work_dir).parts[1:])): path.read_bytes()
            for pattern in ('validations/*.json', 'pseudo_labels/**/*.png')
            for path in by_log(work_dir, pattern)
        },
    )


def assert_same_outcome(configs, expected):
    for config, wanted in zip(configs, expected):
        found = outcome(config.work_dir)
        for part in ('logged', 'pseudo_labels', 'records'):
            found[part], wanted[part] = (
                dict(sorted(found[part].items(), key=str)),
                dict(sorted(wanted[part].items(), key=str)),
            )
        assert_same(found, wanted, Path(config.work_dir).name)


@pytest.mark.parametrize(
    'kills', [3, pytest.param(20, marks=pytest.mark.thorough)], ids=['3 kills', '20 kills']
)
def test_killed_at_any_moment(tmp_path, uninterrupted, kills):
    seconds, expected = uninterrupted
    draw, killed = random.Random(0), 0
    for run in count():
        folder = tmp_path / f'run_{run}'
        while killed < kills and not launch(
            make_stages(folder), kill_after=draw.uniform(0.05, 0.7) * seconds
        ):
            killed += 1
        configs = make_stages(folder)
        assert launch(configs)
        assert_same_outcome(configs, expected)
        if killed == kills:
            break


def kill(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)


def on_call(monkeypatch, owner, name, number, before):
    """Kill the process at the given call of a function, before or after it has run."""
    original, calls = getattr(owner, name), []

    def replacement(*args, **kwargs):
        calls.append(name)
        if len(calls) == number and before:
            kill()
        result = original(*args, **kwargs)
        if len(calls) == number:
            kill()
        return result

    monkeypatch.setattr(owner, name, replacement)


@pytest.mark.parametrize(
    ('owner', 'name', 'number', 'before'),
    [
        # in a checkpoint write of MCL: the new file is written, but has no name yet
        (os, 'replace', 24, True),
        # between saving and validating
        (ValLoop, 'run', 5, True),
        # in a validation
        (DurableCheckpointHook, '_save_best_checkpoint', 4, True),
        # a better checkpoint is there, what hangs on it is not
        (DurableCheckpointHook, '_save_best_checkpoint', 5, False),
        # in the first generation and in a refresh
        (PseudoLabelGeneration, 'write', 7, True),
        (PseudoLabelGeneration, 'write', 20, True),
        # a refresh is complete, but its iteration not left
        (PseudoLabelHook, 'generate', 2, False),
        # all is done but the marker
        (stages, 'write_marker', 2, True),
    ],
    ids=lambda value: getattr(value, '__name__', str(value)),
)
def test_killed_at_the_worst_moments(tmp_path, uninterrupted, owner, name, number, before):
    configs = make_stages(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        on_call(patch, owner, name, number, before)
        assert not launch(configs), 'the moment never came'
    configs = make_stages(tmp_path)
    assert launch(configs)
    assert_same_outcome(configs, uninterrupted[1])


def test_resuming_late_reads_nothing_of_what_was_before(tmp_path, monkeypatch):
    """At iteration 50 000 the loader begins there."""
    config = load_config('warmup', tmp_path / 'warmup', 2, 2)
    stages.train_stages([config], False)
    path = tmp_path / 'warmup' / 'iter_2.pth'
    checkpoint = torch.load(path, weights_only=False)
    checkpoint['meta']['iter'] = 50000
    torch.save(checkpoint, tmp_path / 'late.pth')
    positions = []
    read = MultiDomainDataset.__getitem__

    def record(dataset, position):
        positions.append(position.index)
        return read(dataset, position)

    monkeypatch.setattr(MultiDomainDataset, '__getitem__', record)
    config = load_config('warmup', tmp_path / 'late', 50001, 40000)
    config.resume, config.load_from = True, str(tmp_path / 'late.pth')
    Runner.from_cfg(config).train()
    batch_size = config.train_dataloader.batch_size
    assert positions == [50000 * batch_size + place for place in range(batch_size)]
