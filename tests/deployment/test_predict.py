"""Predicting images and videos through the command line and as functions."""

import sys

import cv2
import numpy as np
import pytest
import torch
from mmseg.apis import MMSegInferencer, inference_model, init_model
from PIL import Image

from mlcl_mmseg.deployment.inputs import find_images
from mlcl_mmseg.deployment.pictures import Style, predict_images, predict_video
from mlcl_mmseg.deployment.predictor import Predictor
from mlcl_mmseg.deployment.segmentor import find_device, load_segmentor
from mlcl_mmseg.deployment.videos import Video
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.labels import label_space
from mlcl_mmseg.visualization.painting import colour_of

from ..tools.calling import ROOT, call
from .conftest import SMALL_MLCL

PREDICT = ROOT / 'tools/predict.py'
PALETTE = label_space(7).palette
NAMES = {'a', 'b', 'town/c', 'town/north/d', 'town/north/e'}


def read(path):
    return np.array(Image.open(path))


@pytest.fixture
def video(tmp_path):
    """Ten frames of a growing square."""
    path = tmp_path / 'drive.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 12, (64, 48))
    for side in range(10, 20):
        frame = np.full((48, 64, 3), (200, 120, 40), np.uint8)
        frame[:side, :side] = (30, 30, 150)
        writer.write(frame)
    writer.release()
    return path


def test_a_folder(images, checkpoint, tmp_path):
    """All kinds of pictures, by name and at the images' sizes; equal to MMSegmentation's."""
    output = call(
        [
            *(sys.executable, PREDICT, SMALL_MLCL, checkpoint, images, '--out', tmp_path / 'out'),
            *('--side-by-side', '--confidence', '--batch-size', '3', '--device', 'cpu'),
            *('--opacity', '0.25'),
        ],
        # no data set is read
        'data',
    )
    assert 'overlay, index, side_by_side, confidence of 5 images.' in output
    assert 'Predict' in output
    written = {path.relative_to(tmp_path / 'out') for path in tmp_path.rglob('*.png')}
    kinds = ('overlay', 'index', 'side_by_side', 'confidence')
    assert {str(path) for path in written} == {f'{k}/{n}.png' for k in kinds for n in NAMES}
    model = init_model(str(SMALL_MLCL), str(checkpoint), device='cpu')
    inferencer = MMSegInferencer(str(SMALL_MLCL), str(checkpoint), device='cpu')
    seen = set()
    for name, path in find_images([str(images)]).items():
        overlay, index, both, confidence = (
            read(tmp_path / 'out' / kind / f'{name}.png') for kind in kinds
        )
        image = np.array(Image.open(path).convert('RGB'))
        assert index.dtype == np.uint8
        expected = inference_model(model, str(path))
        logits = expected.seg_logits.data
        assert index.shape == image.shape[:2] == logits.shape[1:]
        # a batch may be rounded otherwise than an image
        differs = expected.pred_sem_seg.data[0].numpy() != index
        gap = logits.topk(2, dim=0).values
        assert (gap[0] - gap[1])[torch.from_numpy(differs)].lt(1e-5).all()
        again = inferencer(str(path), return_datasamples=True).pred_sem_seg.data
        assert torch.equal(again, expected.pred_sem_seg.data)
        mixed = image * 0.75 + colour_of(index, PALETTE) * 0.25
        assert np.abs(overlay - mixed).max() <= 0.501
        assert np.array_equal(both, np.concatenate([image, overlay], axis=1))
        probability = logits.softmax(0).amax(0).numpy()
        assert np.abs(confidence - 255 * probability).max() <= 0.51
        seen |= set(index.flat)
    assert len(seen) > 1


def test_one_by_one_it_is_mmsegmentations_own(images, checkpoint, predictor):
    """To the pixel."""
    model = init_model(str(SMALL_MLCL), str(checkpoint), device='cpu')
    paths = list(find_images([str(images)]).values())
    for path, prediction in zip(paths, predictor.stream(paths)):
        expected = inference_model(model, str(path)).pred_sem_seg.data[0]
        assert np.array_equal(prediction.index, expected.numpy())


def test_arrays_are_files(images, predictor):
    path = images / 'town/c.png'
    array = read(path)[..., ::-1]
    one, other = predictor.stream([path, array], batch_size=2)
    assert np.array_equal(one.index, other.index)
    assert np.array_equal(one.image, read(path))


def test_a_pipeline_that_keeps_the_ratio(images, config, checkpoint):
    """Batches are made of what has one size."""
    config = config.copy()
    config.test_pipeline = [{**step} for step in config.test_pipeline]
    for step in config.test_pipeline:
        if step['type'] == 'Resize':
            step['keep_ratio'] = True
    predictor = Predictor(load_segmentor(config, str(checkpoint)), config)
    paths = list(find_images([str(images)]).values())
    together, alone = predictor.stream(paths, 5), predictor.stream(paths, 1)
    for one, other in zip(together, alone, strict=True):
        assert one.index.shape == other.index.shape == one.image.shape[:2]
        assert (one.index == other.index).mean() > 0.999


def test_half_precision(images, config, checkpoint, predictor):
    half = Predictor(predictor.model, config, 'bf16')
    path = images / 'a.png'
    (found,), (expected,) = half.stream([path]), predictor.stream([path])
    assert not np.array_equal(found.confidence, expected.confidence)
    assert np.abs(found.confidence - expected.confidence).max() < 0.02
    with pytest.raises(InputError, match='fp16 needs a GPU: use fp32 or bf16'):
        Predictor(predictor.model, config, 'fp16')


def test_a_video(video, predictor, tmp_path):
    """As many frames, of the video's rate and size, and the indices of each."""
    style = Style(PALETTE, side_by_side=True, confidence=True)
    source = Video(str(video))
    assert predict_video(predictor, source, tmp_path / 'out', style, 4, frames=True) == 10
    frames = sorted((tmp_path / 'out/index/drive').iterdir())
    assert [path.name for path in frames] == [f'{number:06d}.png' for number in range(10)]
    for kind, width in dict(overlay=64, side_by_side=128, confidence=64).items():
        written = Video(str(tmp_path / 'out' / kind / 'drive.mp4'))
        assert (written.rate, written.length) == (12, 10)
        pictures = list(written)
        assert pictures[0].shape == (48, width, 3)
    for frame, path in zip(Video(str(video)), frames, strict=True):
        (expected,) = predictor.stream([frame])
        assert (read(path) == expected.index).mean() > 0.99
    assert not [path for path in tmp_path.rglob('.*')]


def test_videos_are_not_replaced_silently(video, predictor, tmp_path):
    style = Style(PALETTE)
    stale = tmp_path / 'out/index/drive/000099.png'
    for _ in range(2):
        options = dict(frames=True, overwrite=True)
        predict_video(predictor, Video(str(video)), tmp_path / 'out', style, **options)
        with pytest.raises(InputError, match=r'overlay/drive.mp4 and 10 more exist already'):
            predict_video(predictor, Video(str(video)), tmp_path / 'out', style, frames=True)
        with pytest.raises(InputError, match=r'overlay/drive.mp4 exists already: choose'):
            predict_video(predictor, Video(str(video)), tmp_path / 'out', style)
        # of a longer video
        assert not stale.exists()
        stale.write_bytes(b'')


def test_a_video_that_breaks_off_leaves_nothing(video, predictor, tmp_path, monkeypatch):
    monkeypatch.setattr(Predictor, 'load', lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        predict_video(predictor, Video(str(video)), tmp_path / 'out', Style(PALETTE))
    assert not list(tmp_path.glob('out/*/*'))


def test_images_are_not_replaced_silently(images, predictor, tmp_path):
    found = find_images([str(images / 'town')])
    assert set(found) == {'c', 'north/d', 'north/e'}
    predict_images(predictor, found, tmp_path, Style(PALETTE))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.png')}
    with pytest.raises(InputError, match=r'c.png and 5 more exist already: choose another'):
        predict_images(predictor, found, tmp_path, Style(PALETTE, opacity=0))
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.png')}
    predict_images(predictor, found, tmp_path, Style(PALETTE, opacity=0), overwrite=True)
    assert np.array_equal(read(tmp_path / 'overlay/c.png'), read(images / 'town/c.png'))


def test_inputs_are_never_replaced(images, predictor, tmp_path):
    (tmp_path / 'index').mkdir()
    (tmp_path / 'index/a.png').write_bytes((images / 'a.png').read_bytes())
    found = find_images([str(tmp_path / 'index')])
    with pytest.raises(InputError, match=r'index/a.png is an input and would be overwritten'):
        predict_images(predictor, found, tmp_path, Style(PALETTE), overwrite=True)


@pytest.mark.parametrize(
    ('sources', 'names'),
    [
        (['{}'], NAMES),
        (['{}/a.png'], {'a'}),
        (['{}/**/*.png'], NAMES - {'b'}),
        (['{}/town/c.png', '{}/town/north'], {'c', 'north/d', 'north/e'}),
        (['{}/town/north/*'], {'d', 'e'}),
    ],
)
def test_names(images, sources, names):
    assert set(find_images([each.format(images) for each in sources])) == names


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({}, 'is not an image, not a folder with images and not a pattern'),
        ({'a.png': b'', 'a.jpg': b''}, r'a\.jpg and .*a\.png would get the same name: rename'),
        ({'a.png': b'no image'}, r'a\.png cannot be read \(not an image in a known format'),
    ],
)
def test_folders_that_do_not_do(tmp_path, content, message):
    for name, each in content.items():
        if each == b'no image':
            (tmp_path / name).write_bytes(each)
        else:
            Image.new(each or 'RGB', (4, 4)).save(tmp_path / name)
    with pytest.raises(InputError, match=message):
        find_images([str(tmp_path)])


def test_a_truncated_image_is_named(images, predictor, tmp_path):
    content = (images / 'town/north/e.png').read_bytes()
    (tmp_path / 'e.png').write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r'e\.png cannot be read'):
        list(predictor.stream([tmp_path / 'e.png']))


def test_devices():
    assert find_device('cpu') == 'cpu'
    for name in ('cuda:99', 'nonsense'):
        with pytest.raises(InputError, match=f'--device {name} is not available here'):
            find_device(name)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['x.pth', '{}', '--out', '{}/out'], '--out .*/out lies in the input folder'),
        (['x.pth', '{}', '--out', '{}2', '--frames'], '--frames works only with a video: omit it'),
        (['x.pth', '{}/no*', '--out', '{}2'], r'notes\.txt cannot be read \(not an image in a'),
        (['x.pth', '{}', '{}3.avi', '--out', '{}2'], r'3\.avi is a video: predict each video with'),
        (['x.pth', '{}3.avi', '--out', '{}2'], r'3\.avi is not a video that OpenCV'),
        (['x.pth', '{}4.avi', '--out', '{}2'], r'4\.avi cannot be read \(not an image in a'),
        (['x.pth', '{}3.avi', '--out', '{}2', '--skip-existing'], 'works only with images: omit'),
    ],
)
def test_mistakes_on_the_command_line(images, run_tool, arguments, message):
    (images.parent / f'{images.name}3.avi').write_bytes(b'RIFF\0\0\0\0AVI no video')
    (images.parent / f'{images.name}4.avi').write_bytes(b'no video')
    arguments = [each.format(*[images] * 2) for each in arguments]
    with pytest.raises(InputError, match=message):
        run_tool('predict.py', SMALL_MLCL, *arguments)


def test_mistakes_end_in_one_sentence(images, tmp_path):
    command = [sys.executable, PREDICT, SMALL_MLCL, 'x.pth', images, '--out', tmp_path]
    output = call(command, 'data', fails=True)
    assert output.splitlines()[-1].startswith('The checkpoint x.pth does not exist: give')
    assert 'Traceback' not in output
