"""The check of a training's data, within very small runs."""

import re
from pathlib import Path

import pytest
from mmengine.runner import Runner
from PIL import Image

from mlcl_mmseg.errors import InputError


@pytest.fixture
def image(toy_data):
    """A target's image that is no image; as it was afterwards."""
    path = toy_data / 'camvid' / 'dusk_0001TP' / 'images' / '1.png'
    content = path.read_bytes()
    path.write_text('Not Found')
    yield path
    path.write_bytes(content)


@pytest.fixture
def label(toy_data):
    """A source's label of 16 bits; as it was afterwards."""
    path = toy_data / 'camvid' / 'day_0016E5' / 'labels' / '2.png'
    content = path.read_bytes()
    Image.new('I;16', (48, 32)).save(path)
    yield path
    path.write_bytes(content)


def refuses(config, *parts):
    """The run ends with a sentence of these parts, before a weight is loaded."""
    config.load_from = 'no/such/warmup.pth'
    with pytest.raises(InputError, match='.*'.join(map(re.escape, parts))):
        Runner.from_cfg(config).train()


def log(config):
    (file,) = Path(config.work_dir).rglob('*.log')
    return file.read_text()


def test_one_line_tells_what_was_checked(toy_config):
    config = toy_config('source_only', 1, 1)
    Runner.from_cfg(config).train()
    # 7 images of the source and 5 + 3 + 4 of the validation sets, with labels
    assert len(re.findall(r'Checked the headers of 38 data files in \d+\.\d s\.', log(config))) == 1


def test_labels_of_targets_are_not_counted(toy_config):
    config = toy_config('warmup', 1, 1, val_dataloader=None, val_evaluator=None, val_cfg=None)
    config.default_hooks.checkpoint.save_best = None
    Runner.from_cfg(config).train()
    assert 'Checked the headers of 26 data files' in log(config)


def test_validation_on_a_single_domain(toy_config):
    config = toy_config('source_only', 1, 1)
    dataset = config.val_dataloader.dataset
    (*_, cityscapes) = dataset.domains
    config.val_dataloader.dataset = dict(cityscapes, role='validation', pipeline=dataset.pipeline)
    Runner.from_cfg(config).train()
    assert 'Checked the headers of 22 data files' in log(config)


@pytest.mark.parametrize('stage', ['source_only', 'warmup', 'mlcl'])
def test_image_that_cannot_be_read(toy_config, image, stage):
    refuses(toy_config(stage, 1, 1), f'{image} cannot be read', 'replace the file.')


def test_label_that_cannot_be_used(toy_config, label):
    refuses(toy_config('warmup', 1, 1), f'{label} has mode I;16', 'mode L or P: use')


def test_targets_of_one_folder(toy_config):
    config = toy_config('warmup', 1, 1)
    targets = config.train_dataloader.dataset.targets
    targets[1].data_root = targets[0].data_root
    refuses(config, "target 'other_day'", "target 'dusk'", 'so that they share no image')


def test_order_of_the_targets(toy_config):
    config = toy_config('warmup', 1, 1)
    config.model.targets = ['dusk', 'other_day', 'cityscapes']
    refuses(
        config,
        "model.targets is ['dusk', 'other_day', 'cityscapes'], but train_dataloader.dataset.",
        "targets is ['other_day', 'dusk', 'cityscapes']: name the same domains",
    )


def test_classes_of_the_model(toy_config):
    config = toy_config('warmup', 1, 1)
    config.model.decode_head.num_classes = config.model.discriminator.num_classes = 19
    refuses(config, "num_classes is 19, but the source 'day' has num_classes 7: make them equal.")


def test_classes_of_one_target(toy_config):
    config = toy_config('warmup', 1, 1)
    config.train_dataloader.dataset.targets[2].num_classes = 19
    refuses(config, "num_classes is 7, but the target 'cityscapes' has num_classes 19: make")


def test_testing_checks_nothing(toy_config, image):
    config = toy_config('source_only', 1, 1)
    config.test_dataloader.dataset.domains = config.test_dataloader.dataset.domains[:1]
    Runner.from_cfg(config).test()
    assert 'Checked the headers' not in log(config)
