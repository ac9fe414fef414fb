"""The warning of a processor that is slow in bfloat16."""

import pytest
import torch

from mlcl_mmseg.engine import bf16_speed
from mlcl_mmseg.engine.bf16_speed import product_seconds, slowness, warn_of_slow_bf16
from mlcl_mmseg.engine.precision import check_precision, choose_precision
from mlcl_mmseg.engine.stages import train_stages


@pytest.fixture(autouse=True)
def forget():
    """Each test runs as in a new process."""
    warn_of_slow_bf16.cache_clear()
    yield
    warn_of_slow_bf16.cache_clear()


@pytest.fixture
def slow(monkeypatch):
    """A processor without units for bfloat16."""
    seconds = {torch.float32: 0.0005, torch.bfloat16: 0.075}
    monkeypatch.setattr(bf16_speed, 'product_seconds', seconds.get)


@pytest.mark.parametrize(('fp32', 'bf16'), [(0.001, 0.0002), (0.001, 0.001)])
def test_as_fast_as_float32(fp32, bf16):
    assert slowness(fp32, bf16) is None


def test_slower_than_float32():
    assert 'a product takes 75.00 ms, and 0.50 ms in fp32: use --precision fp32.' in (
        slowness(0.0005, 0.075)
    )


def test_products_are_computed():
    assert product_seconds(torch.bfloat16) > 0


def test_predictions_and_benchmarks_say_it_once(slow, capsys):
    for _ in range(2):
        check_precision('bf16', on_gpu=False)
        choose_precision('bf16', {}, on_gpu=False)
    assert capsys.readouterr().err.count('bf16 is slow on this processor') == 1


@pytest.mark.parametrize(('precision', 'on_gpu'), [('bf16', True), ('fp32', False)])
def test_where_it_does_not_matter(slow, capsys, precision, on_gpu):
    check_precision(precision, on_gpu)
    assert capsys.readouterr().err == ''


@pytest.mark.parametrize(('precision', 'warnings'), [('bf16', 1), ('tf32', 0)])
def test_trainings_whose_config_sets_it(slow, capsys, configs, trained, precision, warnings):
    for config in configs:
        config.optim_wrapper = dict(optimizer={}, precision=precision)
    train_stages(configs, resume=False)
    assert len(trained) == 2
    assert capsys.readouterr().err.count('bf16 is slow') == warnings
