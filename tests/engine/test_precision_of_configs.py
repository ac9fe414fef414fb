"""The optimisers of every shipped config can be built in every precision."""

import functools
import json

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapperDict, build_optim_wrapper
from mmseg.registry import MODELS

from mlcl_mmseg.engine.precision import PRECISIONS, use_precision
from mlcl_mmseg.shipped import CONFIGS

SHIPPED = sorted(
    str(path.relative_to(CONFIGS))
    for folder in ('mlcl', 'warmup', 'source_only', 'demo')
    for path in (CONFIGS / folder).glob('*.py')
)


@functools.cache
def model_of(settings):
    """The model of a config as JSON, whose tensors have shapes but no values."""
    with torch.device('meta'), pytest.MonkeyPatch.context() as patch:
        # backbones read its values, the rates of stochastic depth
        patch.setattr(torch, 'linspace', functools.partial(torch.linspace, device='cpu'))
        return MODELS.build(Config(json.loads(settings)))


@pytest.fixture(params=SHIPPED)
def config(request, monkeypatch):
    """A shipped config, on a machine that seems to have a GPU."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    return Config.fromfile(CONFIGS / request.param)


def wrappers(config):
    found = build_optim_wrapper(model_of(json.dumps(config.model)), config.optim_wrapper)
    return [*found.values()] if isinstance(found, OptimWrapperDict) else [found]


def test_every_precision(config):
    for precision in PRECISIONS:
        changed = Config(config.to_dict())
        use_precision(changed.optim_wrapper, precision)
        for wrapper in wrappers(changed):
            assert hasattr(wrapper, 'loss_scaler') == (precision == 'fp16')
            found = 'fp16' if precision == 'fp16' else wrapper.precision
            assert found == precision


def test_back_from_fp16(config):
    use_precision(config.optim_wrapper, 'fp16')
    use_precision(config.optim_wrapper, 'bf16')
    assert {wrapper.precision for wrapper in wrappers(config)} == {'bf16'}
