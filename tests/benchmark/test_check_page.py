"""The page of a check, whatever of it is there."""

import copy
import re

import pytest

from mlcl_mmseg.benchmark.check_page import LINKS, check_page
from mlcl_mmseg.benchmark.check_text import summary
from mlcl_mmseg.benchmark.gpu_check import SHARES, failures

from .test_advice import GOOD

HOSTILE = '<script>alert("x")</script>'
STAGE = dict(stage='warmup', iterations=10, seconds_per_step=0.36, steps=1.0, hours=1.25)
PARITY = dict(
    passed=True,
    losses=1e-5,
    statistics=2e-5,
    gradients=dict(backbone=0.003),
    operations=dict(select=0.0),
)


@pytest.fixture
def check():
    check = copy.deepcopy(GOOD)
    for figures in check['precisions'].values():
        figures.update(
            images_per_second=60.0,
            hours=3.0,
            allocated_gib=17.5,
            parts=dict(backbone=0.6, heads=0.4),
            profile=dict(kernels=9000, device_seconds=0.1, waits=3),
        )
    check['compiled'].update(images_per_second=80.0, hours=2.5, allocated_gib=18.5)
    return dict(
        check,
        config='configs/mlcl/g2ci.py',
        device='cuda',
        iterations=60000,
        released_seconds=1.134,
        is_complete=True,
        advice=['Train with --precision bf16.'],
        environment=dict(versions=dict(GPU='Pretended, 80 GiB'), free_gib=79.0, total_gib=80.0),
        parity={name: PARITY for name in GOOD['parity']},
        whole_run=dict(
            precision='bf16',
            stages=[
                dict(STAGE, validations=0.25, pseudo_labels=0.0),
                dict(STAGE, stage='mcl', validations=None, pseudo_labels=None, hours=2.0),
            ],
        ),
    )


def text_of(page):
    body = page.partition('<body>')[2]
    return re.sub(r'\s+', ' ', re.sub(r'<[^>]+>', ' ', body))


def test_the_page_is_one_file(check):
    page = check_page(check)
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert '<script' not in page
    for key in LINKS:
        assert page.count(f'id="{key}"') == 1
        assert page.count(f'href="#{key}"') == 1


def test_all_figures_are_shown(check):
    text = text_of(check_page(check))
    for each in (
        'Check of Pretended, 80 GiB for configs/mlcl/g2ci.py',
        'Train with --precision bf16.',
        # a row of a precision: 1.134 s by 0.19 s, then the share, the host and the memory
        'bf16 0.19 60 3 6 95 % 0.1 17.5 20.0',
        'bf16 60 % 40 %',
        'bf16 9000 3',
        'bf16 the same 1.0e-05 2.0e-05 3.0e-03 0.0e+00',
        'bf16 0.18 80 2.5 6.3 95 % 0.1 18.5 20.0',
        'a step is the same',
        'as configured 7 8',
        'model.backward=per_target 14 16',
        'unprepared frames 0.3 1.6',
        'warmup 10 0.36 1 0.25 0 1.25',
        'mcl 10 0.36 1 – – 2',
        'all stages 3.25',
        '79.0 of 80.0 GiB',
    ):
        assert each in text, each


@pytest.mark.parametrize('part', SHARES)
@pytest.mark.parametrize(
    ('value', 'shown'),
    [
        (None, 'Not reached.'),
        (dict(error=f'No: {HOSTILE}', traceback='in line 1'), 'in line 1'),
        (dict(skipped='Only on GPUs.'), 'Only on GPUs.'),
    ],
)
def test_a_part_without_figures(check, part, value, shown):
    if value is None:
        del check[part]
    else:
        check[part] = value
    page = check_page(check)
    assert shown in text_of(page)
    assert '<script' not in page
    assert summary(check, list(failures(check)))


def test_an_entry_without_figures(check):
    check['precisions']['fp16'] = dict(error='TypeError: no', traceback='in line 2')
    check['precisions']['fp32']['profile'] = dict(error='No kernel.', traceback='in line 3')
    check['parity']['tf32'] = dict(skipped='There was no time left.')
    check['parity']['bf16'] = dict(PARITY, passed=False)
    assert [*failures(check)] == [
        'parity bf16: a step differs from that of the CPU by more than rounding',
        'precisions fp32 profile: No kernel.',
        'precisions fp16: TypeError: no',
    ]
    text = text_of(check_page(check))
    for each in ('in line 2', 'in line 3', 'no time left.', 'bf16 differs', 'fp16 failed'):
        assert each in text, each
    printed = summary(check, [*failures(check)])
    assert 'Failed: precisions fp16: TypeError: no' in printed
    (row,) = (line for line in printed.splitlines() if line.startswith('|    bf16'))
    assert row.split('|')[-2].strip() == 'NO'


def test_an_unfinished_check(check):
    assert 'interrupted' not in text_of(check_page(check))
    check['is_complete'] = False
    assert 'interrupted' in text_of(check_page(check))


def test_the_summary(check):
    printed = summary(check, [])
    for each in (
        'Seconds of a step in bf16 when compiled: 0.18',
        'Largest batch in bf16: 7',
        'Largest batch in bf16 with model.backward=per_target: 14',
        'Hours of all stages in bf16: 3.25',
        'To change: Train with --precision bf16.',
    ):
        assert each in printed.splitlines()
