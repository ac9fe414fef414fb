"""Estimates from counted operations."""

import json
from pathlib import Path

import pytest
import torch

from mlcl_mmseg.benchmark.operation_counter import Operation
from mlcl_mmseg.benchmark.roofline import Assumptions, Card, estimate, exchange_ms, step_ms, total

ROOT = Path(__file__).parents[2]
CARD = Card(dict(fp32=1, tf32=2, bf16=4, fp16=5), bandwidth=1, link=100)
IDEAL = Assumptions(host_us=10, kernel_us=1, product_efficiency=1, memory_efficiency=1)
MEGA = 10**6


def device_us(operation, precision='fp32', assumptions=IDEAL):
    (part,) = estimate([operation], precision, CARD, assumptions).values()
    return 1e3 * part.device_ms


def product(flops, dtype, moved=4):
    return Operation('mm', 'heads', moved, flops, dtype)


def test_an_operation_takes_as_long_as_the_slowest_of_its_needs():
    assert device_us(product(50 * MEGA, torch.float32, 20 * MEGA)) == pytest.approx(50)
    assert device_us(product(50 * MEGA, torch.float32, 70 * MEGA)) == pytest.approx(70)
    assert device_us(product(50, torch.float32, 70)) == pytest.approx(1)


@pytest.mark.parametrize(
    ('dtype', 'precision', 'expected'),
    [
        (torch.float32, 'fp32', 100),
        (torch.float32, 'tf32', 50),
        (torch.float32, 'bf16', 50),
        # only PrecisionOptimWrapper lets the GPU round products
        (torch.float32, 'fp16', 100),
        (torch.bfloat16, 'bf16', 25),
        (torch.float16, 'fp16', 20),
    ],
)
def test_products_have_the_peak_of_their_factors(dtype, precision, expected):
    assert device_us(product(100 * MEGA, dtype), precision) == pytest.approx(expected)


def test_efficiencies():
    half = IDEAL._replace(product_efficiency=0.5)
    assert device_us(product(50 * MEGA, torch.float32), assumptions=half) == pytest.approx(100)
    quarter = IDEAL._replace(memory_efficiency=0.25)
    moved = Operation('add', 'losses', 20 * MEGA)
    assert device_us(moved, assumptions=quarter) == pytest.approx(80)


def test_parts_and_the_whole():
    operations = [
        Operation('add', 'style', 20 * MEGA),
        product(50 * MEGA, torch.float32),
        Operation('mul', 'style', 30 * MEGA),
        # a view costs nothing
        Operation('t', 'style', 0),
    ]
    parts = estimate(operations, 'fp32', CARD, IDEAL)
    assert [*parts] == ['style', 'heads']
    assert parts['style'].operations == 2
    assert parts['style'].gigabytes == pytest.approx(0.05)
    whole = total(parts.values())
    assert (whole.operations, whole.tflop) == (3, pytest.approx(5e-5))
    assert whole.device_ms == pytest.approx(0.1)
    assert whole.host_ms == pytest.approx(0.03)


def test_a_step_waits_for_the_slower_of_host_and_device():
    (part,) = estimate([Operation('add', 'style', 50 * MEGA)], 'fp32', CARD, IDEAL).values()
    assert step_ms(part) == part.device_ms == pytest.approx(0.05)
    assert step_ms(part._replace(host_ms=3.0)) == 3


def test_exchange_of_gradients():
    """Each card sends and receives its gradients nearly twice."""
    assert exchange_ms(10**9, 1, CARD) == 0
    assert exchange_ms(10**9, 2, CARD) == pytest.approx(10)
    assert exchange_ms(10**9, 8, CARD) == pytest.approx(17.5)


def test_the_tool(run_tool, capsys):
    config = str(ROOT / 'configs/demo/source_only.py')
    arguments = (config, '--precision', 'fp32', 'tf32', '--fp32-tflops', '0.1', '--gpus', '2')
    run_tool('analysis_tools/roofline.py', *arguments)
    *_, last = capsys.readouterr().out.splitlines()
    slow, fast = json.loads(last)
    assert (slow['precision'], fast['precision']) == ('fp32', 'tf32')
    for key in ('operations', 'tflop', 'gigabytes', 'host_ms', 'exchange_ms'):
        assert slow[key] == fast[key] > 0
    # 3.66 GFLOP at half of 0.1 TFLOP/s
    assert slow['device_ms'] > 70 > fast['device_ms']
    assert {'data', 'backbone', 'heads', 'losses', 'optimiser'} == {*slow['parts']}


def test_markdown(run_tool, capsys):
    """Only the tables, for a page."""
    config = str(ROOT / 'configs/demo/source_only.py')
    run_tool('analysis_tools/roofline.py', config, '--precision', 'bf16', '--markdown')
    rows = [line for line in capsys.readouterr().out.splitlines() if line]
    assert [row.split('|')[1].strip() for row in rows if '|' in row if ':-' not in row] == [
        *('config', 'source_only', 'config', 'source_only')
    ]
    assert 'not a measurement' in rows[0]


@pytest.mark.parametrize('value', ['0', '-1', 'nan', 'inf', 'fast'])
def test_what_is_no_speed(run_tool, capsys, value):
    with pytest.raises(SystemExit):
        run_tool('analysis_tools/roofline.py', 'configs/demo/mlcl.py', f'--bandwidth={value}')
    assert 'is not a number above 0' in capsys.readouterr().err
