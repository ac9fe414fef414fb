"""What a person finds in the logs of a run: scalars and pictures, in files and in TensorBoard."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlcl_mmseg.engine.hooks import contact_sheet_hook
from mlcl_mmseg.engine.hooks.contact_sheet_hook import validation_columns
from mlcl_mmseg.methods.mcl.selection import select_pseudo_label
from mlcl_mmseg.visualization.contact_sheet import GAP, MARGIN

DOMAINS = ('other_day', 'dusk', 'cityscapes')
SCALARS = dict(
    warmup=[
        f'warmup/{name}/{domain}'
        for name in ('loss_adversarial', 'discriminator_accuracy')
        for domain in DOMAINS
    ],
    mlcl=[
        *(f'mcl/loss_{name}' for name in ('individual', 'collaborative', 'ensemble')),
        'mcl/loss_distillation',
        *(f'mcl/{name}/{domain}' for name in ('kept_pixels', 'agreement') for domain in DOMAINS),
    ],
)
# of validation images of 64x32, five times as large
CELL = (320, 160)


class FakeWandb(ModuleType):
    """Records what MMEngine's own backend hands to Weights & Biases."""

    def __init__(self):
        super().__init__('wandb')
        self.logged = []
        self.config = SimpleNamespace(update=lambda *_, **__: None)
        self.run = SimpleNamespace(log_code=lambda **_: None)

    def init(self, **_):
        pass

    def join(self):
        pass

    @staticmethod
    def Image(image):  # noqa: N802
        return np.array(image)

    def log(self, values, commit):
        self.logged.append(values)


def train(config):
    runner = Runner.from_cfg(config)
    runner.train()
    return runner


@pytest.fixture
def with_warmup(toy_config):
    """Configs whose MCL starts from a warm-up of one iteration."""

    def load(stage, max_iters=1, **options):
        if stage == 'mlcl':
            best = train(toy_config('warmup', 1, 1)).message_hub.get_info('best_ckpt')
            options = {'custom_hooks.0.interval': 2, **options}
        options = {'default_hooks.logger.interval': 1, **options}
        config = toy_config(stage, max_iters, 1, **options)
        if stage == 'mlcl':
            config.load_from = best
        return config

    return load


def pictures(config):
    """The drawn pictures by name, as they are read from the run's files."""
    paths = sorted(Path(config.work_dir).glob('*/vis_data/vis_image/*.png'))
    return {path.stem: np.asarray(Image.open(path)) for path in paths}


def columns(picture):
    """The number of columns of a sheet."""
    return (picture.shape[1] - 2 * MARGIN + GAP) / (CELL[0] + GAP)


@pytest.mark.parametrize('stage', ['warmup', 'mlcl'])
def test_scalars_and_pictures_reach_files_and_tensorboard(stage, with_warmup):
    config = with_warmup(stage)
    config.visualizer.vis_backends.append(dict(type='TensorboardVisBackend'))
    train(config)
    (scalars,) = Path(config.work_dir).glob('*/vis_data/scalars.json')
    line = json.loads(scalars.read_text().splitlines()[0])
    (events,) = Path(config.work_dir).rglob('events.out.tfevents.*')
    board = EventAccumulator(str(events)).Reload()
    for name in SCALARS[stage]:
        assert np.isfinite(line[name])
        (value,) = board.Scalars(name)
        assert (value.step, value.value) == (1, pytest.approx(line[name], rel=1e-5))
    names = [f'contact_sheet_{domain}' for domain in DOMAINS]
    assert list(pictures(config)) == sorted(f'{name}_1' for name in names)
    assert board.Tags()['images'] == names
    for name in names:
        (image,) = board.Images(name)
        assert (image.height, image.width) == pictures(config)[f'{name}_1'].shape[:2]


def test_weights_and_biases_by_its_own_backend(with_warmup, monkeypatch):
    wandb = FakeWandb()
    monkeypatch.setitem(sys.modules, 'wandb', wandb)
    config = with_warmup('mlcl')
    config.visualizer.vis_backends.append(dict(type='WandbVisBackend'))
    train(config)
    logged = {name: value for values in wandb.logged for name, value in values.items()}
    assert {*SCALARS['mlcl']} <= {*logged}
    for domain in DOMAINS:
        expected = pictures(config)[f'contact_sheet_{domain}_1']
        assert np.array_equal(logged[f'contact_sheet_{domain}'], expected)


def test_every_second_validation_and_the_last(toy_config):
    config = toy_config('source_only', 5, 1, **{'default_hooks.contact_sheet.interval': 2})
    train(config)
    drawn = pictures(config)
    assert [*drawn] == sorted(f'contact_sheet_{name}_{k}' for name in DOMAINS for k in (2, 4, 5))
    # the network has changed, the images have not
    first, second = drawn['contact_sheet_dusk_2'], drawn['contact_sheet_dusk_4']
    right = MARGIN + CELL[0]
    below_titles = slice(-2 * (CELL[1] + GAP), None)
    assert np.array_equal(first[below_titles, :right], second[below_titles, :right])
    assert not np.array_equal(first[below_titles, right:], second[below_titles, right:])


def test_the_columns_of_each_stage(with_warmup, toy_config):
    for stage, number in (('warmup', 3), ('mlcl', 4)):
        config = with_warmup(stage)
        train(config)
        assert columns(pictures(config)['contact_sheet_dusk_1']) == number


@pytest.mark.parametrize('stage', ['warmup', 'mlcl'])
def test_a_training_is_the_same_with_and_without(stage, with_warmup):
    with_pictures = with_warmup(stage, 3, **{'default_hooks.contact_sheet.interval': 1})
    drawn = train(with_pictures).model.state_dict()
    assert len(pictures(with_pictures)) == 9
    without = with_warmup(stage, 3, **{'default_hooks.contact_sheet.interval': 0})
    without.work_dir += '_without'
    without.experiment_name += '_without'
    expected = train(without).model.state_dict()
    assert not pictures(without)
    assert all(torch.equal(drawn[name], value) for name, value in expected.items())


def test_the_main_process_alone_draws(toy_config, monkeypatch):
    monkeypatch.setattr(contact_sheet_hook, 'is_main_process', lambda: False)
    config = toy_config('source_only', 1, 1)
    train(config)
    assert not pictures(config)


def test_kept_pseudo_labels_are_those_of_the_domains_own_head(with_warmup):
    runner = train(with_warmup('mlcl'))
    segmentor = runner.model.eval()
    sample = runner.val_loop.dataloader.dataset.datasets[1][0]
    image = sample['inputs'].flip(0)[None].float() / 255
    soft = segmentor.domain_heads[1](segmentor.extract_feat(image)).softmax(dim=1)
    expected = select_pseudo_label(soft, 0.5, 0.25, (8, 16))
    domain = segmentor.targets[1]
    columns = validation_columns(segmentor, sample, domain)
    assert [*columns] == ['image', 'prediction', 'truth', 'kept pseudo-labels']
    selected = columns['kept pseudo-labels'].indices
    assert torch.equal(selected, expected)
    # of a domain that is no target, there is no head whose pseudo-labels could be shown
    assert segmentor.validation_columns(image, 'elsewhere') == {}
    assert 0 < (selected == 255).float().mean() < 1
