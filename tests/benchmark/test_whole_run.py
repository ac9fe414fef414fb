"""Hours of a training from times and counts."""

import pytest

from mlcl_mmseg.benchmark import whole_run as module
from mlcl_mmseg.benchmark.clock import Budget
from mlcl_mmseg.benchmark.whole_run import (
    count_images,
    generations,
    network_seconds,
    stage_hours,
    validations,
    whole_run,
)
from mlcl_mmseg.engine.hooks.refresh_hook import RefreshHook
from mlcl_mmseg.engine.stream_train_loop import StreamTrainLoop
from mlcl_mmseg.toy_world import write_toy_world

from .test_measuring import small

PER_IMAGE = dict(validated=0.1, labelled=0.2)
IMAGES = dict(validated=50, labelled=30)


def schedule(max_iters, val_begin, val_interval):
    return {
        'train_cfg.max_iters': max_iters,
        'train_cfg.val_begin': val_begin,
        'train_cfg.val_interval': val_interval,
    }


@pytest.mark.parametrize(
    'numbers',
    [(400, 1, 100), (410, 1, 100), (400, 250, 100), (400, 200, 100), (3, 1, 5), (7, 7, 7)],
)
def test_validations_are_those_of_the_loop(numbers):
    loop = StreamTrainLoop.__new__(StreamTrainLoop)
    loop._runner = type('Runner', (), dict(val_loop=object()))()
    loop._max_iters, loop.val_begin, loop.val_interval = numbers
    counted = sum(loop.is_validated(each) for each in range(1, numbers[0] + 1))
    assert validations(small('mlcl.py', **schedule(*numbers))) == counted > 0


@pytest.mark.parametrize(('iterations', 'interval'), [(400, 200), (401, 200), (60000, 10000)])
def test_generations_are_those_of_the_hook(iterations, interval):
    hook = RefreshHook(interval)
    runner = type('Runner', (), dict(max_iters=iterations, train_loop=None))()
    refreshed = 0
    for runner.iter in range(1, iterations + 1):
        refreshed += runner.iter % interval == 0 and hook.is_due(runner)
    options = {'train_cfg.max_iters': iterations, 'custom_hooks.0.interval': interval}
    assert generations(small('mlcl.py', **options)) == 1 + refreshed
    assert generations(small('warmup.py')) == 0


def test_the_hours_of_a_stage():
    config = small('mlcl.py', **schedule(3600, 1, 900), **{'custom_hooks.0.interval': 1800})
    found = stage_hours(config, 0.5, PER_IMAGE, IMAGES)
    assert found['stage'] == 'mcl'
    assert found['steps'] == pytest.approx(0.5)
    assert found['validations'] == pytest.approx(4 * 50 * 0.1 / 3600)
    assert found['pseudo_labels'] == pytest.approx(2 * 30 * 0.2 / 3600)
    assert found['hours'] == pytest.approx(0.5 + (20 + 12) / 3600)


def test_what_is_not_known_is_not_added():
    config = small('mlcl.py', **schedule(3600, 1, 900))
    found = stage_hours(config, 0.5, PER_IMAGE, dict(validated=None, labelled=None))
    assert (found['validations'], found['pseudo_labels'], found['hours']) == (None, None, 0.5)
    warmup = stage_hours(small('warmup.py'), 0.5, dict(validated=0.1, labelled=None), IMAGES)
    assert warmup['pseudo_labels'] == 0


def test_images_are_counted_where_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv('MLCL_DATA_ROOT', str(tmp_path / 'nothing'))
    assert count_images(small('mlcl.py')) == dict(validated=None, labelled=None)
    write_toy_world(tmp_path / 'data', 3, (64, 32), 0, 2, num_workers=1)
    monkeypatch.setenv('MLCL_DATA_ROOT', str(tmp_path / 'data'))
    assert count_images(small('mlcl.py')) == dict(validated=6, labelled=9)


def test_a_config_without_validation():
    config = small('source_only.py')
    config.val_dataloader = config.val_cfg = config.val_evaluator = None
    assert validations(config) == 0
    assert network_seconds(config, 'cpu', 'fp32', Budget(0)) == dict(validated=None, labelled=None)
    assert count_images(config)['validated'] is None


def test_all_stages(monkeypatch, tmp_path):
    """The steps of the last stage have been measured already."""
    monkeypatch.setenv('MLCL_DATA_ROOT', str(tmp_path))
    trained = []
    monkeypatch.setattr(
        module,
        'throughput',
        lambda training, *_: trained.append(training) or dict(seconds_per_step=2.0),
    )
    stages = [small('warmup.py'), small('mlcl.py')]
    found = whole_run(stages, 'cpu', 'fp32', 3.0, Budget(0))
    assert [type(each.segmentor).__name__ for each in trained] == ['AdversarialWarmup']
    assert [(each['stage'], each['seconds_per_step']) for each in found] == [
        ('warmup', 2.0),
        ('mcl', 3.0),
    ]
    assert [each['hours'] for each in found] == pytest.approx([400 * 2 / 3600, 400 * 3 / 3600])
