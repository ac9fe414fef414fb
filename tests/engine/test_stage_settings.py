"""Which settings and data make a stage another one."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlcl_mmseg.engine.stage_files import COMPLETE
from mlcl_mmseg.engine.stage_settings import LATER_KEYS, fingerprint
from mlcl_mmseg.engine.stages import train_stages
from mlcl_mmseg.errors import InputError

from .pretended_stages import best, leave_checkpoint

OTHER_SETTINGS = [
    (dict(train_cfg=dict(max_iters=20)), 'train_cfg.max_iters was 10, is now 20'),
    (dict(randomness=dict(seed=1)), 'randomness.seed was 0, is now 1'),
    (dict(model=dict(neck='new')), "model.neck was None, is now 'new'"),
    (
        dict(optim_wrapper=dict(optimizer=dict(betas=(0.9, 0.9)))),
        'optim_wrapper.optimizer.betas.1 was 0.99, is now 0.9',
    ),
    (dict(load_from=__file__), 'load_from was None, is now .* bytes '),
    (dict(sync_bn='torch'), "sync_bn was None, is now 'torch'"),
    (dict(auto_scale_lr=dict(enable=True)), 'auto_scale_lr was None, is now {.enable.: True}'),
    (dict(model=dict(backbone=dict(init_cfg=None))), "init_cfg was {'type': 'Pretrained'}, is now"),
    (
        dict(val_dataloader=dict(dataset=dict(pipeline=[dict(type='Resize')]))),
        "val_pipeline was None, is now .{'type': 'Resize'}.",
    ),
    (
        dict(default_hooks=dict(checkpoint=dict(rule='less'))),
        "best_checkpoint.rule was None, is now 'less'",
    ),
]


@pytest.mark.parametrize(('change', 'message'), OTHER_SETTINGS)
def test_a_warmup_with_other_settings_is_refused(configs, trained, change, message):
    train_stages(configs[:1], resume=False)
    configs[0].merge_from_dict(change)
    remedy = f'load_from={best(configs[0])} to use it'
    with pytest.raises(InputError, match=f'complete but was trained .*{message}.*{remedy}'):
        train_stages(configs, resume=False)
    # nor is MCL resumed that began with it
    leave_checkpoint(configs[1])
    with pytest.raises(InputError, match=f'warmup was started with other .*{message}.*: resume'):
        train_stages(configs, resume=True)


def test_mcl_with_other_settings_is_not_resumed(configs, trained):
    train_stages(configs[:1], resume=False)
    leave_checkpoint(configs[1])
    configs[1].train_cfg.max_iters = 20
    with pytest.raises(InputError, match='mlcl was started with other .*max_iters was 10, is now'):
        train_stages(configs, resume=True)


def test_what_changes_no_weights_is_no_other_setting(configs, trained):
    train_stages(configs[:1], resume=False)
    configs[0].train_dataloader.merge(dict(num_workers=8, persistent_workers=False))
    configs[0].val_dataloader = dict(batch_size=3)
    configs[0].model.merge(dict(neck=None, backbone=dict(init_cfg=dict(checkpoint='a file'))))
    train_stages(configs, resume=False)
    assert len(trained) == 2


def test_other_imagenet_weights_are_another_setting(configs, trained, tmp_path):
    """By what the file holds, not by where it lies: a URL, torchvision's name, or a copy."""
    file = tmp_path / 'weights.pth'
    file.write_bytes(b'weights')
    digest = hashlib.sha256(b'weights').hexdigest()[:8]
    init_cfg = configs[0].model.backbone.init_cfg
    init_cfg.checkpoint = f'https://example.org/resnet101-{digest}.pth'
    train_stages(configs[:1], resume=False)
    for checkpoint in (file, 'a file that is gone'):
        init_cfg.checkpoint = str(checkpoint)
        train_stages(configs, resume=False)
    assert [name for name, *_ in trained] == ['warmup', 'mlcl', 'mlcl']
    init_cfg.checkpoint = 'torchvision://resnet101'
    message = f"imagenet_weights was '{digest}', is now '63fe2227'"
    with pytest.raises(InputError, match=f'complete but was trained with other .*{message}'):
        train_stages(configs, resume=False)
    init_cfg.checkpoint = str(file)
    file.write_bytes(b'others')
    with pytest.raises(InputError, match=f"imagenet_weights was '{digest}', is now "):
        train_stages(configs, resume=False)


def test_objects_and_sets_are_told_alike_by_every_launch(configs):
    """Neither an address nor the order of a set, which differ from one process to the next."""
    configs[0].train_dataloader.collate_fn = test_other_data_are_other_settings
    configs[0].model.names = {'c', 'a', 'b'}
    settings = fingerprint(configs[0])
    assert settings['train_dataloader']['collate_fn'] == (
        f'{__name__}.test_other_data_are_other_settings'
    )
    assert settings['model']['names'] == ['a', 'b', 'c']


def test_the_start_of_a_run_may_be_gone_when_it_goes_on(configs, trained, tmp_path):
    start = tmp_path / 'start.pth'
    start.write_bytes(b'weights')
    configs[1].load_from = str(start)
    leave_checkpoint(configs[1], fingerprint(configs[1]))
    start.rename(tmp_path / 'moved.pth')
    train_stages(configs[1:], resume=True)
    configs[1].load_from = str(tmp_path / 'moved.pth')
    leave_checkpoint(configs[1], fingerprint(configs[1]))
    Path(configs[1].work_dir, COMPLETE).unlink()
    train_stages(configs[1:], resume=True)
    assert [resume for *_, resume in trained] == [True, True]
    (tmp_path / 'moved.pth').write_bytes(b'another')
    configs[1].load_from = str(tmp_path / 'moved.pth')
    with pytest.raises(InputError, match=r'load_from was .7 bytes .*, is now .7 bytes '):
        train_stages(configs[1:], resume=True)


def test_other_data_are_other_settings(configs, trained, tmp_path):
    """Data may be moved; other images under the same path are noticed."""
    folder = dict(type='FolderDomain', domain='day', num_classes=7, label_map={0: 0})
    for kind in ('images', 'labels'):
        (tmp_path / 'data' / kind).mkdir(parents=True)
        Image.new('L', (8, 8)).save(tmp_path / 'data' / kind / 'a.png')
    places = dict(image_dir='images', label_dir='labels')
    source = dict(**folder, **places, data_root=str(tmp_path / 'data'))
    configs[0].train_dataloader.dataset = dict(source=source)
    train_stages(configs[:1], resume=False)
    moved = (tmp_path / 'data').rename(tmp_path / 'moved')
    configs[0].train_dataloader.dataset.source.data_root = str(moved)
    train_stages(configs, resume=False)
    noise = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(noise).save(moved / 'images' / 'a.png')
    with pytest.raises(InputError, match=r'data\.source day was .1 images .*, is now .1 images '):
        train_stages(configs, resume=False)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ('label_map', r'validation\.domains\.0\.label_map\.0 was 0, is now 1'),
        ('label', r'validation_labels\.validation day was .\w{8}., is now .\w{8}.\)'),
        ('name', r'data\.validation day was .1 images .*, is now .1 images '),
    ],
)
def test_what_chooses_the_best_checkpoint_is_a_setting(configs, trained, tmp_path, change, message):
    """A label of the same size in bytes with other ids, and names that are not UTF-8."""
    domain = dict(
        type='FolderDomain',
        domain='day',
        num_classes=7,
        label_map={0: 0},
        data_root=str(tmp_path / 'data'),
    )
    for kind, name in (('images', b'stra\xdfe.png'), ('labels', b'stra\xdfe.png')):
        (tmp_path / 'data' / kind).mkdir(parents=True)
        with open(os.fsencode(tmp_path / 'data' / kind) + b'/' + name, 'wb') as file:
            Image.new('L', (8, 8)).save(file, 'BMP' if kind == 'labels' else 'PNG')
    dataset = dict(type='MultiDomainValidation', domains=[domain])
    configs[0].val_dataloader = dict(dataset=dataset)
    train_stages(configs[:1], resume=False)
    if change == 'label_map':
        configs[0].val_dataloader.dataset.domains[0].label_map = {0: 1}
    elif change == 'label':
        (path,) = (tmp_path / 'data/labels').iterdir()
        with open(path, 'wb') as file:
            Image.new('L', (8, 8), 3).save(file, 'BMP')
    else:
        for kind in ('images', 'labels'):
            (path,) = (tmp_path / 'data' / kind).iterdir()
            path.rename(path.with_name('b.png'))
    with pytest.raises(InputError, match=f'complete but was trained with other .*{message}'):
        train_stages(configs, resume=False)


def test_a_stage_of_an_earlier_version_may_lack_what_is_recorded_since(configs, trained):
    train_stages(configs[:1], resume=False)
    path = Path(configs[0].work_dir, COMPLETE)
    content = json.loads(path.read_text())
    for key in LATER_KEYS:
        del content['settings'][key]
    path.write_text(json.dumps(content))
    train_stages(configs, resume=False)
    assert [name for name, *_ in trained] == ['warmup', 'mlcl']
