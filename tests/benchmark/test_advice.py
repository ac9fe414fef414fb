"""What a check advises, from figures made by hand; first those of a GPU on which all is well."""

import copy

import pytest

from mlcl_mmseg.benchmark.advice import RULES, advice, fastest_precision

STEP = dict(
    steps=200,
    skipped_steps=0,
    device_share=0.95,
    reserved_gib=20.0,
    host_seconds_per_step=0.1,
)
GOOD = dict(
    batch_size=4,
    precision='tf32',
    environment=dict(versions={}, free_gib=79.0, total_gib=80.0),
    parity={name: dict(passed=True) for name in ('fp32', 'tf32', 'bf16', 'fp16')},
    precisions=dict(
        fp32=dict(STEP, seconds_per_step=0.4),
        tf32=dict(STEP, seconds_per_step=0.2),
        bf16=dict(STEP, seconds_per_step=0.19),
        fp16=dict(STEP, seconds_per_step=0.21),
    ),
    compiled=dict(STEP, precision='bf16', seconds_per_step=0.18, parity=dict(passed=True)),
    batch=dict(
        precision='bf16',
        searches=[
            dict(options='', largest=7, too_large=8),
            dict(options='model.backward=per_target', largest=14, too_large=16),
        ],
    ),
    loading=dict(seconds_per_batch=dict(unprepared=0.3, prepared=0.1), num_workers=4, cores=16),
)


def changed(*path, to):
    """The figures of above with another value at a path of keys."""
    check = copy.deepcopy(GOOD)
    *parents, last = path
    inner = check
    for key in parents:
        inner = inner[key]
    inner[last] = to
    return check


def test_nothing_to_change():
    assert advice(GOOD) == []


@pytest.mark.parametrize('value', [{}, dict(error='failed'), dict(skipped='no time')])
@pytest.mark.parametrize(
    'part', ['environment', 'parity', 'precisions', 'compiled', 'batch', 'loading']
)
def test_parts_that_are_not_there(part, value):
    assert advice(changed(part, to=value)) == []
    check = copy.deepcopy(GOOD)
    del check[part]
    assert advice(check) == []


@pytest.mark.parametrize('part', ['parity', 'precisions'])
def test_precisions_that_are_not_there(part):
    for value in (dict(error='failed'), dict(skipped='no time')):
        assert advice(changed(part, 'fp16', to=value)) == []


def test_wrong_results_come_first():
    check = changed('parity', 'bf16', 'passed', to=False)
    first, *_ = advice(check)
    assert first.startswith('Do not train in bf16 on this machine')
    assert fastest_precision(GOOD) == 'bf16'
    assert fastest_precision(check) == 'tf32'


@pytest.mark.parametrize(
    ('check', 'sentence'),
    [
        (
            changed('environment', 'free_gib', to=60.0),
            'Other programs use 20.0 of 80.0 GiB of the GPU: stop them',
        ),
        (
            changed('precisions', 'bf16', 'seconds_per_step', to=0.1),
            'Train with --precision bf16: a step is 2.0 times as fast as in tf32, the precision of',
        ),
        (
            changed('precisions', 'bf16', 'seconds_per_step', to=4.0),
            'Do not use --precision bf16: this processor computes it 10.0 times as slowly as fp32.',
        ),
        (
            changed('compiled', 'seconds_per_step', to=0.1),
            'Train with --cfg-options model.compile_backbone.mode=reduce-overhead: in bf16, a step '
            'is 1.9 times as fast.',
        ),
        (
            changed('compiled', 'parity', 'passed', to=False),
            'Do not use model.compile_backbone on this machine: in bf16, a step differs',
        ),
        (
            changed('precisions', 'bf16', 'device_share', to=0.5),
            'In bf16, the GPU is busy for 50 % of a step and waits for Python in the rest: use a '
            'processor with faster cores and leave it to the training, or train two runs',
        ),
        (
            changed('batch', 'searches', 0, 'largest', to=30),
            'Up to 30 images of each domain fit into a batch in bf16, instead of 4. A larger batch '
            'changes the training',
        ),
        (
            changed('precisions', 'fp16', 'skipped_steps', to=100),
            'In fp16, 100 of 200 steps were not finite',
        ),
    ],
)
def test_one_change(check, sentence):
    (found,) = advice(check)
    assert found.startswith(sentence)


@pytest.mark.parametrize(
    'check',
    [
        changed('precisions', 'bf16', 'seconds_per_step', to=0.18),
        changed('precisions', 'bf16', 'device_share', to=0.8),
        changed('precisions', 'bf16', 'device_share', to=None),
        # not the fastest precision
        changed('precisions', 'fp32', 'device_share', to=0.2),
        changed('batch', 'searches', 0, 'largest', to=7),
        changed('precisions', 'fp16', 'skipped_steps', to=20),
        # 4 processes suffice for a step of 0.19 s
        changed('loading', 'seconds_per_batch', 'unprepared', to=0.63),
    ],
)
def test_limits(check):
    assert advice(check) == []


def test_two_runs_only_if_there_is_memory():
    check = changed('precisions', 'bf16', 'device_share', to=0.5)
    check['precisions']['bf16']['reserved_gib'] = 41.0
    (found,) = advice(check)
    assert 'two runs' not in found


def test_a_batch_that_does_not_fit():
    check = changed('precisions', 'fp32', to=dict(error='…', is_out_of_memory=True))
    assert advice(check) == [
        'The batch of the config does not fit into memory in fp32. It fits with --precision bf16.'
    ]
    check['batch']['searches'][0]['largest'] = 3
    assert advice(check)[0].endswith(
        'It fits with --precision bf16 --cfg-options model.backward=per_target.'
    )
    check['batch']['searches'][1]['largest'] = 2
    assert advice(check)[0].endswith(
        'No option was found with which it fits: use several GPUs with smaller batches.'
    )


@pytest.mark.parametrize(
    ('seconds', 'workers', 'cores', 'expected'),
    [
        (
            dict(unprepared=2.0, prepared=0.1),
            4,
            16,
            'With num_workers=4, loading original images is slower than the steps: set '
            'train_dataloader.num_workers=13, or prepare the data (mlcl prepare).',
        ),
        (
            dict(unprepared=4.0, prepared=1.0),
            4,
            16,
            'With num_workers=4, loading original images is slower than the steps: prepare the '
            'data (mlcl prepare) and set train_dataloader.num_workers=7.',
        ),
        (
            dict(unprepared=4.0, prepared=1.0),
            4,
            4,
            'With num_workers=4, loading original images is slower than the steps: prepare the '
            'data (mlcl prepare) and set train_dataloader.num_workers=4, although 7 cores would be '
            'needed.',
        ),
        (
            dict(unprepared=0.1, prepared=0.1),
            8,
            2,
            'The loader has 8 processes on 2 cores: set train_dataloader.num_workers=2.',
        ),
    ],
)
def test_a_slow_loader(seconds, workers, cores, expected):
    loading = dict(seconds_per_batch=seconds, num_workers=workers, cores=cores)
    assert advice(changed('loading', to=loading)) == [expected]


def test_every_rule_can_speak():
    """A rule that never says anything would not be noticed otherwise."""
    check = copy.deepcopy(GOOD)
    check['environment']['free_gib'] = 1.0
    check['parity']['fp16'] = dict(passed=False)
    check['precisions']['bf16'].update(seconds_per_step=0.05, device_share=0.3, skipped_steps=90)
    check['precisions']['fp32'] = dict(error='…', is_out_of_memory=True)
    check['batch']['searches'][0]['largest'] = 64
    check['compiled']['seconds_per_step'] = 0.01
    assert all(list(rule(check)) for rule in RULES)
