"""Processes that share a batch compute what one process computes."""

import json
import multiprocessing
import os
from itertools import pairwise

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mlcl_mmseg.report.run import by_log

from ..small_run import load_config

FORK = multiprocessing.get_context('fork')
BATCH = 4
LONG = 20
TOLERANCE, LONG_TOLERANCE = 1e-5, 1e-9
FROZEN = {
    'model.backbone.norm_cfg': dict(type='BN', requires_grad=False),
    'model.backbone.norm_eval': True,
}
GLOBAL_NORM = {'model.backbone.norm_cfg': dict(type='GlobalBN', requires_grad=True)}
TOGETHER, PER_TARGET = ({'model.backward': each} for each in ('together', 'per_target'))


class Recorder(Hook):
    """Keeps the figures of every step and the last validation's."""

    def __init__(self):
        self.steps, self.validation = [], None

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.steps.append({name: float(value) for name, value in outputs.items()})

    def after_val_epoch(self, runner, metrics=None):
        self.validation = metrics


def work(rank, world_size, folder, stage, steps, options):
    """Train on one of the processes; the first keeps what came of it."""
    torch.set_num_threads(1)
    if steps == LONG:
        # in float32 a rounding may choose another pixel, or the other side of a ReLU, and from
        # there a run goes its own way
        torch.set_default_dtype(torch.float64)
        torch.Tensor.float = torch.Tensor.double
    os.environ['LOCAL_RANK'] = str(rank)
    if world_size > 1:
        torch.distributed.init_process_group(
            'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=world_size
        )
    config = load_config(stage, folder / stage, steps, steps, **options)
    config.experiment_name += f'_{world_size}_{rank}'
    config.launcher = 'none' if world_size == 1 else 'pytorch'
    config.train_dataloader.batch_size = BATCH // world_size
    config.model.decode_head.dropout_ratio = 0
    runner, recorder = Runner.from_cfg(config), Recorder()
    runner.register_hook(recorder)
    runner.train()
    if rank == 0:
        segmentor = runner.model if world_size == 1 else runner.model.module
        torch.save(
            (recorder.steps, recorder.validation, segmentor.state_dict()), folder / 'outcome.pth'
        )
    if world_size > 1:
        torch.distributed.destroy_process_group()


def train(world_size, folder, stage, steps, options):
    """Train on so many processes: figures of every step, of the validation, the weights."""
    folder.mkdir()
    processes = [
        FORK.Process(target=work, args=(rank, world_size, folder, stage, steps, options))
        for rank in range(world_size)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * world_size
    return torch.load(folder / 'outcome.pth', weights_only=False)


@pytest.fixture
def compare(tmp_path, toy_data, monkeypatch):
    """Compare runs on 1, 2 and 4 processes."""
    monkeypatch.setenv('MLCL_REAL_DATA', str(toy_data))

    def compare(stage, options, steps, world_sizes=(1, 2, 4)):
        tolerance = LONG_TOLERANCE if steps == LONG else TOLERANCE
        outcomes = [
            train(size, tmp_path / f'{stage}_{size}', stage, steps, options) for size in world_sizes
        ]
        for one, other in pairwise(outcomes):
            assert len(one[0]) == len(other[0]) == steps
            for expected, found in zip(one[0], other[0]):
                assert set(expected) == set(found)
                for name, value in expected.items():
                    assert found[name] == pytest.approx(value, abs=tolerance, rel=tolerance), name
            for name, value in one[2].items():
                torch.testing.assert_close(other[2][name], value, rtol=0, atol=tolerance, msg=name)
        return outcomes

    return compare


@pytest.fixture
def start(tmp_path, toy_data, monkeypatch):
    """A checkpoint that MCL starts from."""
    monkeypatch.setenv('MLCL_REAL_DATA', str(toy_data))
    train(1, tmp_path / 'start', 'warmup', 1, {})
    (best,) = (tmp_path / 'start').rglob('best_*.pth')
    return {'load_from': str(best), 'custom_hooks.0.interval': 60}


THOROUGH = pytest.mark.thorough
NORMS = [FROZEN, GLOBAL_NORM]


def sizes(norm, steps):
    """Numbers of processes; a norm that talks is slow with more of them than cores."""
    return (1, 2) if norm is GLOBAL_NORM and steps < LONG else (1, 2, 4)


@pytest.mark.parametrize('norm', NORMS, ids=['frozen', 'global'])
@pytest.mark.parametrize('steps', [3, pytest.param(LONG, marks=THOROUGH)])
def test_warmup(compare, norm, steps):
    outcomes = compare('warmup', norm, steps, sizes(norm, steps))
    # the same pixels are counted, whoever counts them; weights that differ by rounding turn a few
    for one, other in pairwise(outcomes):
        assert other[1] == pytest.approx(one[1], abs=0.05)


@pytest.mark.parametrize('backward', [TOGETHER, PER_TARGET], ids=['together', 'per_target'])
@pytest.mark.parametrize('norm', NORMS, ids=['frozen', 'global'])
@pytest.mark.parametrize('steps', [3, pytest.param(LONG, marks=THOROUGH)])
def test_mcl(compare, start, norm, backward, steps):
    compare('mlcl', {**start, **norm, **backward}, steps, sizes(norm, steps))


def test_teacher(compare, start):
    """The teacher is no part of what is wrapped, and the same on each process."""
    compare('teacher', {**start, **FROZEN}, 3, (1, 2))


def test_per_target_backward_is_the_same_step(compare, start, tmp_path):
    """In one process: the same figures and weights as one backward pass, to the last bits."""
    together = train(1, tmp_path / 'together', 'mlcl', 2, {**start, **TOGETHER})
    per_target = train(1, tmp_path / 'per_target', 'mlcl', 2, {**start, **PER_TARGET})
    for expected, found in zip(together[0], per_target[0]):
        assert found == pytest.approx(expected, rel=1e-5)
    for name, value in together[2].items():
        torch.testing.assert_close(per_target[2][name], value, rtol=0, atol=1e-6, msg=name)


def test_each_process_by_itself(compare, start):
    """The option for thresholds, masks and normalisers of each process: other figures."""
    options = {**start, **FROZEN, 'model.global_batch': False}
    with pytest.raises(AssertionError, match='mcl/|loss'):
        compare('mlcl', options, 3, world_sizes=(1, 4))


def test_validation_counts_every_image_once(compare, tmp_path):
    """11 images on 1, 2 and 4 processes: figures and records equal to the last bit."""
    options = {
        **FROZEN,
        'optim_wrapper.network.optimizer.lr': 0.0,
        'val_dataloader.dataset.domains.0.indices': 4,
    }
    one, *others = compare('warmup', options, 1)
    for other in others:
        assert other[1] == one[1]
    records = []
    for size in (1, 2, 4):
        folder = tmp_path / f'warmup_{size}/warmup'
        (environment,) = by_log(folder, 'environment.json')
        assert json.loads(environment.read_text())['processes'] == str(size)
        (record,) = by_log(folder, 'validations/*.json')
        records.append(json.loads(record.read_text()))
    assert records[0] == records[1] == records[2]
    assert sum(map(len, records[0]['images'].values())) == 11
