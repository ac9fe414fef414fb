"""The exported network against PyTorch, for each format and backbone."""

import ast
import json
import subprocess
import sys
from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from PIL import Image

from mlcl_mmseg.deployment import export as module
from mlcl_mmseg.deployment.export import (
    DeployedNetwork,
    check_exporter,
    differences,
    export,
    read_export,
)
from mlcl_mmseg.deployment.predictor import Predictor
from mlcl_mmseg.deployment.segmentor import load_segmentor
from mlcl_mmseg.errors import InputError

from ..tools.calling import ROOT
from .conftest import SMALL_MLCL

EXAMPLE = ROOT / 'docs/onnx_inference.py'
ONNX = pytest.param(
    'onnx', marks=pytest.mark.skipif(find_spec('onnxruntime') is None, reason='no onnxruntime')
)


@pytest.fixture(autouse=True)
def exporter():
    """The OpenMMLab packages of 2023 need a PyTorch that cannot export."""
    try:
        check_exporter('torch')
    except InputError as error:
        pytest.skip(str(error))


def build(backbone, channels, neck=None, kind='MCLSegmentor'):
    extra = dict(discriminator=dict(type='DomainDiscriminator', num_classes=7))
    model = MODELS.build(
        dict(
            type=kind,
            targets=['a', 'b'],
            data_preprocessor=dict(type='MultiDomainDataPreprocessor'),
            backbone=backbone,
            neck=neck,
            decode_head=dict(
                type='DeepLabV2Head', in_channels=channels, channels=32, num_classes=7
            ),
            test_cfg=dict(mode='whole'),
            **(extra if kind == 'AdversarialWarmup' else {}),
        )
    )
    return model.eval()


RESNET = dict(type='DeepLabV2ResNet', depth=18, base_channels=8, stem_channels=8)
MIT = dict(type='MixTransformer', embed_dims=8, num_layers=(1, 1, 1, 1))


@pytest.mark.parametrize('kind', [ONNX, 'torch'])
@pytest.mark.parametrize(
    'model',
    [
        (RESNET, 64),
        (MIT, 8 + 16 + 40 + 64, dict(type='ConcatenationNeck')),
        (RESNET, 64, None, 'AdversarialWarmup'),
    ],
    ids=['resnet', 'mit', 'warmup'],
)
def test_any_batch_and_size(tmp_path, kind, model):
    network = DeployedNetwork(build(*model))
    export(network, tmp_path / 'x', kind, (96, 160), {})
    shapes, found = zip(*differences(network, read_export(tmp_path / 'x', kind), (96, 160)))
    assert shapes == ((1, 3, 96, 160), (2, 3, 73, 107), (3, 3, 51, 79))
    assert max(found) < 1e-5


@pytest.mark.parametrize('kind', [ONNX, 'torch'])
def test_classes(tmp_path, kind):
    network = DeployedNetwork(build(RESNET, 64), 'index')
    export(network, tmp_path / 'x', kind, (64, 96), {})
    exported = read_export(tmp_path / 'x', kind)
    image = torch.rand(1, 3, 61, 99)
    index = exported(image)
    assert index.dtype == torch.uint8
    assert (index == network.logits(image).argmax(1)).float().mean() > 0.999
    assert max(found for _, found in differences(network, exported, (64, 96))) < 1e-5


@pytest.mark.parametrize('output', ['logits', 'index'])
def test_a_difference_is_found(output):
    """Of a network whose classes are in another order, at one pixel."""
    network = DeployedNetwork(build(RESNET, 64), output)

    def changed(image):
        found = network(image)
        found[0, ..., 5, 7] = found[0, ..., 5, 7].flip(0) if output == 'logits' else 6
        return found

    assert max(found for _, found in differences(network, network, (64, 96))) == 0
    assert max(found for _, found in differences(network, changed, (64, 96))) > 1e-3


def test_it_is_the_network_that_predicts(config, checkpoint, images):
    """The logits of the segmentor, from the same image."""
    predictor = Predictor(load_segmentor(config, str(checkpoint)), config)
    sample = predictor.load(images / 'a.png').sample
    data = predictor.model.data_preprocessor(dict(inputs=[sample['inputs']]), False)
    image = data['inputs'][0][None]
    assert image.min() >= 0 and image.max() <= 1
    with torch.no_grad():
        expected = predictor.model.predict(image)[0].seg_logits.data
        found = DeployedNetwork(predictor.model)(image)[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_another_preprocessor():
    model = build(RESNET, 64)
    model.data_preprocessor = MODELS.build(dict(type='SegDataPreProcessor'))
    with pytest.raises(InputError, match='data_preprocessor is a SegDataPreProcessor: use'):
        DeployedNetwork(model)


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(module, 'find_spec', lambda name: None)
    check_exporter('torch')
    with pytest.raises(InputError, match='onnx needs onnx and onnxruntime and onnxscript: pip in'):
        check_exporter('onnx')
    monkeypatch.delattr(torch.export, 'ExportedProgram')
    with pytest.raises(InputError, match=r'PyTorch .* is too old to export: use an environment'):
        check_exporter('torch')


@pytest.fixture
def run_export(checkpoint, run_tool):
    """The tool, in this process."""
    return partial(run_tool, 'export.py', SMALL_MLCL, checkpoint)


def test_the_example(run_export, config, checkpoint, images, tmp_path, capsys):
    """The file that the tool writes, in a program with nothing but ONNX Runtime."""
    pytest.importorskip('onnxruntime')
    run_export('--format', 'onnx', '--out', tmp_path / 'x.onnx')
    assert '1x3x160x320: differs by ' in capsys.readouterr().out
    image, out = images / 'town/north/e.png', tmp_path / 'e.png'
    subprocess.run([sys.executable, EXAMPLE, tmp_path / 'x.onnx', image, out], check=True)
    picture = Image.open(out)
    predictor = Predictor(load_segmentor(config, str(checkpoint)), config)
    (prediction,) = predictor.stream([image])
    found = np.array(picture)
    assert found.shape == (320, 640)
    # enlarged without interpolation, it differs along the edges
    assert (found == prediction.index).mean() > 0.95
    assert picture.getpalette()[:3] == [128, 64, 128]


def test_what_the_runtime_refuses_is_removed(run_export, tmp_path, monkeypatch):
    def refuse(*_):
        raise RuntimeError('invalid shape\nin node 7')

    monkeypatch.setattr('export.read_export', refuse)
    with pytest.raises(InputError, match=r'has been removed \(RuntimeError: invalid shape\): the'):
        run_export('--format', 'torch', '--out', tmp_path / 'x.pt2', '--size', '96x64')
    assert not (tmp_path / 'x.pt2').exists()


def test_a_program(run_export, tmp_path):
    """It tells classes, colours and size; it is neither replaced nor left where it differs."""
    run_export('--format', 'torch', '--out', tmp_path / 'x.pt2', '--size', '96x64')
    extra = {'about.json': ''}
    torch.export.load(str(tmp_path / 'x.pt2'), extra_files=extra)
    about = json.loads(extra['about.json'])
    assert json.loads(about['classes'])[0] == 'flat'
    assert json.loads(about['size']) == [96, 64]
    content = (tmp_path / 'x.pt2').read_bytes()
    with pytest.raises(InputError, match='exists already: choose another --out, or use --overwri'):
        run_export('--format', 'torch', '--out', tmp_path / 'x.pt2')
    with pytest.raises(InputError, match='The largest difference, .*, exceeds --tolerance'):
        run_export(
            *('--format', 'torch', '--out', tmp_path / 'x.pt2', '--tolerance', -1, '--overwrite')
        )
    assert (tmp_path / 'x.pt2').read_bytes() == content
    with pytest.raises(InputError, match='The largest difference, .*, exceeds --tolerance'):
        run_export('--format', 'torch', '--out', tmp_path / 'y.pt2', '--tolerance', -1)
    assert not (tmp_path / 'y.pt2').exists()


def test_the_example_is_short_and_needs_little():
    text = EXAMPLE.read_text('utf-8')
    assert len(text.splitlines()) <= 22
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    assert names == {'json', 'sys', 'numpy', 'onnxruntime', 'PIL'}
