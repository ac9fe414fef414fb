"""A released checkpoint of full size: convert, test, compare."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from mmseg.apis import init_model
from PIL import Image

from mlcl_mmseg.models.losses import resize_logits

from ..golden.released import image_tensor, read_case, released_checkpoint
from .calling import CONFIGS, ROOT, call

CONVERTER = ROOT / 'tools/model_converters/mcl2mmseg.py'
CONFIG = ROOT / 'configs/mlcl/g2ci.py'


@pytest.fixture(scope='module')
def converted(tmp_path_factory):
    """The converted checkpoint, and what the converter said."""
    folder = tmp_path_factory.mktemp('released')
    torch.save(released_checkpoint('resnet101_c7_t2_stage1'), folder / 'x.pkl')
    output = call(
        [sys.executable, CONVERTER, folder / 'x.pkl', folder / 'x.pth', '--config', CONFIG]
    )
    (folder / 'x.pkl').unlink()
    yield folder / 'x.pth', output
    (folder / 'x.pth').unlink()


@pytest.fixture
def case(tmp_path):
    """The golden case, its image as a data set."""
    case, _ = read_case('forward_resnet101_c7_t2_stage1')
    for name, array in (('images', case['image'][0]), ('labels', case['image'][0, ..., 0] * 0)):
        (tmp_path / 'data' / name).mkdir(parents=True)
        Image.fromarray(array).save(tmp_path / 'data' / name / 'frame.png')
    return case


def test_what_it_says(converted):
    path, output = converted
    assert f'{path}: ResNet101 of iteration 56000, recorded mIoU 73.26.' in output
    assert 'Skipped, because only training needs it: FCDiscriminator.' in output
    assert not list(path.parent.glob('.partial_*'))


def test_the_golden_logits(converted, case):
    """As MMSegmentation's own API loads it."""
    model = init_model(str(CONFIG), str(converted[0]), device='cpu')
    with torch.no_grad():
        features = model.extract_feat(image_tensor(case['image']))
        logits = model.decode_head(features)
    np.testing.assert_allclose(logits, case['head2'], rtol=0, atol=1e-3)


def test_the_golden_predictions(converted, case, tmp_path):
    """Through tools/test.py."""
    call(
        [
            *(sys.executable, ROOT / 'tools/test.py', CONFIGS / 'golden.py', converted[0]),
            *('--work-dir', tmp_path / 'work', '--out', tmp_path / 'out'),
        ],
        tmp_path / 'data',
    )
    found = np.asarray(Image.open(tmp_path / 'out/cityscapes/frame.png'))
    logits = resize_logits(torch.from_numpy(case['head2']), found.shape)[0]
    first, second = logits.topk(2, dim=0).values
    clear = (first - second > 2e-3).numpy()
    assert clear.mean() > 0.99
    assert np.array_equal(found[clear], logits.argmax(dim=0).numpy()[clear])


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['none.pkl', '{}/x.pth', '--config', CONFIG], 'The checkpoint none.pkl does not exist'),
        (
            ['{}/x.pkl', '{}/x.pth', '--config', CONFIG],
            '{}/x.pkl is damaged or not a checkpoint of',
        ),
        (['{}/x.pkl', '{}/x.pkl/y', '--config', CONFIG], 'The folder {}/x.pkl cannot be written'),
        (['{}/x.pkl', '{}/old', '--config', CONFIG], '{}/old exists already: choose another DST'),
        (
            ['{}/x.pkl', '{}/x.pkl', '--config', CONFIG, '--overwrite'],
            '{}/x.pkl is an input and would be overwritten: choose another DST',
        ),
        (['{}/x.pkl', '{}/x.pth', '--config', 'no.py'], 'The config no.py does not exist: pass'),
    ],
)
def test_mistakes_end_in_one_sentence(tmp_path, arguments, sentence):
    (tmp_path / 'x.pkl').write_bytes(b'released?')
    (tmp_path / 'old').touch()
    arguments = [str(each).format(tmp_path) for each in arguments]
    done = subprocess.run(
        [sys.executable, CONVERTER, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(sentence.format(tmp_path))
    assert not (tmp_path / 'x.pth').exists()
