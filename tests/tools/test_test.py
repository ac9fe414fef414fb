"""What the test tool refuses: weights that are not finite, and folders that are in use."""

import importlib.util

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader
from mmseg.registry import MODELS
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from mlcl_mmseg.errors import InputError

from .calling import CONFIGS, ROOT

CONFIG = CONFIGS / 'small_source_only.py'


@pytest.fixture
def evaluate(toy_data, tmp_path, monkeypatch):
    """Run the tool in this process on one domain."""
    specification = importlib.util.spec_from_file_location('test_tool', ROOT / 'tools/test.py')
    tool = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(tool)
    monkeypatch.setenv('MLCL_REAL_DATA', str(toy_data))
    # MMEngine formats the config ten times, for seconds
    monkeypatch.setattr(Config, 'pretty_text', '')
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))

    def run(*arguments, options=()):
        options = ['--cfg-options', 'test_dataloader.num_workers=0', *options]
        command = [CONFIG, tmp_path / 'x.pth', '--work-dir', tmp_path / 'w', *arguments, *options]
        monkeypatch.setattr('sys.argv', ['test.py', *map(str, command)])
        tool.main()

    return run


@pytest.fixture
def weights():
    return MODELS.build(Config.fromfile(CONFIG).model).state_dict()


def test_weights_that_are_not_finite(evaluate, weights, tmp_path):
    name = next(name for name in weights if name.endswith('.weight'))
    torch.save({**weights, name: weights[name] * torch.nan}, tmp_path / 'x.pth')
    with pytest.raises(InputError, match=rf'x\.pth has .* values in {name} that are not finite'):
        evaluate('--out', tmp_path / 'o')
    assert not list((tmp_path / 'o').iterdir())


class Dtypes(TorchDispatchMode):
    """The types in which convolutions are computed."""

    def __init__(self):
        super().__init__()
        self.found = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.name() == 'aten::convolution':
            self.found.add(args[0].dtype)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ('arguments', 'options', 'expected'),
    [
        ((), (), torch.float32),
        (('--precision', 'bf16'), (), torch.bfloat16),
        ((), ('optim_wrapper.precision=bf16',), torch.bfloat16),
        (('--precision', 'fp32'), ('optim_wrapper.precision=bf16',), torch.float32),
    ],
)
def test_precision(evaluate, weights, tmp_path, arguments, options, expected):
    """It is that of the training, unless the command line names another."""
    torch.save(weights, tmp_path / 'x.pth')
    with Dtypes() as dtypes:
        evaluate(*arguments, options=options)
    assert dtypes.found == {expected}


@pytest.mark.parametrize('precision', ['tf32', 'fp16'])
def test_precisions_of_gpus(evaluate, weights, tmp_path, precision):
    torch.save(weights, tmp_path / 'x.pth')
    with pytest.raises(InputError, match=f'{precision} needs a GPU: use fp32 or bf16'):
        evaluate('--precision', precision)


def test_models_of_mmsegmentation_compute_in_float32(evaluate, weights, tmp_path):
    torch.save(weights, tmp_path / 'x.pth')
    options = ('model.type=EncoderDecoder',)
    with pytest.raises(InputError, match='EncoderDecoder does not predict in bf16: use --prec'):
        evaluate('--precision', 'bf16', options=options)


def test_existing_predictions(evaluate, weights, tmp_path):
    torch.save(weights, tmp_path / 'x.pth')
    evaluate('--out', tmp_path / 'o')
    first, second, *_ = sorted((tmp_path / 'o').rglob('*.png'))
    first.write_bytes(b'mine')
    (tmp_path / 'precious').write_bytes(b'precious')
    second.unlink()
    second.symlink_to(tmp_path / 'precious')
    with pytest.raises(InputError, match='o is not empty: choose another --out, or use --overwri'):
        evaluate('--out', tmp_path / 'o')
    assert first.read_bytes() == b'mine'
    evaluate('--out', tmp_path / 'o', '--overwrite')
    assert Image.open(first).mode == 'L' and Image.open(second).mode == 'L'
    assert not second.is_symlink()
    assert (tmp_path / 'precious').read_bytes() == b'precious'


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ([1], r'x\.pth has no state_dict but is a list: use'),
        (dict(state_dict={}, meta=[1]), r'x\.pth has meta of type list'),
        (dict(state_dict={}), 'The checkpoint has no backbone'),
    ],
)
def test_odd_checkpoints(evaluate, tmp_path, content, message):
    torch.save(content, tmp_path / 'x.pth')
    with pytest.raises(InputError, match=message):
        evaluate()
