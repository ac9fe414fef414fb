"""Stripped checkpoints predict as before, and train no further."""

import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.apis import MMSegInferencer, inference_model, init_model
from mmseg.registry import MODELS

from mlcl_mmseg.command_line import load_config
from mlcl_mmseg.deployment.inputs import find_images
from mlcl_mmseg.deployment.predictor import Predictor
from mlcl_mmseg.deployment.segmentor import load_segmentor
from mlcl_mmseg.deployment.strip import strip
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.methods.base import ALL_PARTS
from mlcl_mmseg.safe_load import read_checkpoint

from ..tools.calling import CONFIGS, ROOT, call
from .conftest import SMALL_MLCL

STRIP = ROOT / 'tools/model_converters/strip.py'


@pytest.fixture(scope='module')
def stripped(checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp('stripped') / 'deployed.pth'
    output = call([sys.executable, STRIP, checkpoint, path])
    for each in (checkpoint, path):
        assert f'{each}: {each.stat().st_size / 1e6:.1f} MB' in output
    assert path.stat().st_size < checkpoint.stat().st_size / 4
    return path


def test_what_is_left(stripped, config):
    content = read_checkpoint(stripped)
    parts = {name.split('.')[0] for name in content['state_dict']}
    assert parts == {'backbone', 'decode_head'}
    assert set(content) == {'meta', 'state_dict'}
    assert set(content['meta']) == {'iter', 'dataset_meta'}
    # strictly, and so without a warning of what is missing
    MODELS.build(config.model).load_state_dict(content['state_dict'], strict=True)


def test_it_predicts_as_before(stripped, checkpoint, config, images):
    whole, small = (
        Predictor(load_segmentor(config, str(path)), config) for path in (checkpoint, stripped)
    )
    model = init_model(str(SMALL_MLCL), str(stripped), device='cpu')
    assert model.dataset_meta['classes'][0] == 'flat'
    inferencer = MMSegInferencer(str(SMALL_MLCL), str(stripped), device='cpu')
    for path in list(find_images([str(images)]).values())[:2]:
        (expected,), (found,) = whole.stream([path]), small.stream([path])
        assert np.array_equal(found.index, expected.index)
        ours = inference_model(model, str(path)).pred_sem_seg.data[0]
        theirs = inferencer(str(path), return_datasamples=True).pred_sem_seg.data[0]
        assert np.array_equal(ours, expected.index)
        assert np.array_equal(theirs, expected.index)


def test_it_is_tested_as_before(stripped, checkpoint, config, toy_data, tmp_path, monkeypatch):
    monkeypatch.setenv('MLCL_REAL_DATA', str(toy_data))
    # MMEngine formats it ten times, for seconds
    monkeypatch.setattr(Config, 'pretty_text', '')
    figures = []
    for path in (checkpoint, stripped):
        config = load_config(str(SMALL_MLCL), {}, str(tmp_path / path.stem), 'none')
        config.test_dataloader.update(num_workers=0, persistent_workers=False)
        del config.test_dataloader.dataset.domains[1:]
        config.load_from = str(path)
        figures.append(Runner.from_cfg(config).test())
    assert figures[0] == figures[1]
    assert figures[0]['mIoU'] > 0


def test_no_training_resumes_from_it(stripped, config):
    content = read_checkpoint(stripped)
    model = MODELS.build(config.model)
    model.require(ALL_PARTS)
    with pytest.raises(InputError, match=r'The checkpoint has no (domain_heads|ensemble_head)\.'):
        model.load_state_dict(content['state_dict'], strict=False)


def test_mcl_does_not_start_from_it(stripped, config):
    model = MODELS.build(config.model)
    model.require(model.starting_parts)
    with pytest.raises(InputError, match=r'The checkpoint has no domain_heads\.'):
        model.load_state_dict(read_checkpoint(stripped)['state_dict'], strict=False)


def test_a_warmup_keeps_its_heads():
    model = MODELS.build(Config.fromfile(CONFIGS / 'small_warmup.py').model)
    content = strip(dict(state_dict=model.state_dict()), 'x.pth')
    assert {name.split('.')[0] for name in content['state_dict']} == {'backbone', 'domain_heads'}
    model.load_state_dict(content['state_dict'], strict=True)


@pytest.mark.parametrize(
    ('checkpoint', 'message'),
    [
        ([1], 'x.pth has no state_dict but is a list: use'),
        (dict(meta={}), 'x.pth has no state_dict: use'),
        (dict(state_dict={'backbone.x': torch.zeros(1)}), 'x.pth has no decode_head: use'),
    ],
)
def test_other_files(checkpoint, message):
    with pytest.raises(InputError, match=message):
        strip(checkpoint, 'x.pth')


def test_existing_files(checkpoint, tmp_path, run_tool):
    (tmp_path / 'x.pth').write_bytes(b'mine')
    with pytest.raises(InputError, match='x.pth exists already: choose another DST, or use --over'):
        run_tool('model_converters/strip.py', checkpoint, tmp_path / 'x.pth')
    assert (tmp_path / 'x.pth').read_bytes() == b'mine'
    run_tool('model_converters/strip.py', checkpoint, tmp_path / 'x.pth', '--overwrite')
    assert read_checkpoint(tmp_path / 'x.pth')['state_dict']


def test_mistakes_on_the_command_line(checkpoint, tmp_path, run_tool):
    for source, destination, message in (
        (checkpoint, checkpoint, 'is an input and would be overwritten: choose another DST'),
        (tmp_path / 'no.pth', tmp_path / 'x.pth', 'no.pth does not exist: correct the path'),
    ):
        with pytest.raises(InputError, match=message):
            run_tool('model_converters/strip.py', source, destination)
