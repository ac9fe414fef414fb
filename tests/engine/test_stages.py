"""Which stage is trained, resumed or left alone."""

import hashlib
import multiprocessing
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import ValLoop
from PIL import Image

from mlcl_mmseg.durable_files import locked_folder
from mlcl_mmseg.engine import stages
from mlcl_mmseg.engine.stages import (
    COMPLETE,
    POINTER,
    STARTED,
    rehearse,
    resume_from_latest,
    train_stages,
    write_json,
)
from mlcl_mmseg.errors import InputError

FORK = multiprocessing.get_context('fork')


def make_config(work_dir: Path, **changes) -> Config:
    return Config(
        dict(
            model=dict(
                type='Stage', backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='a'))
            ),
            train_dataloader=dict(batch_size=4, num_workers=2, dataset=dict(data_root='data')),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, betas=(0.9, 0.99))),
            param_scheduler=dict(type='PolyLR'),
            train_cfg=dict(max_iters=10),
            randomness=dict(seed=0),
            default_hooks=dict(checkpoint=dict(save_best='mIoU')),
            work_dir=str(work_dir),
            load_from=None,
            resume=False,
            **changes,
        )
    )


@pytest.fixture
def configs(tmp_path):
    """Warm-up and MCL."""
    return [make_config(tmp_path / 'warmup'), make_config(tmp_path / 'mlcl')]


@pytest.fixture
def trained(monkeypatch):
    """What has been trained: (name of the work dir, load_from, resume); files as a run leaves."""
    calls = []

    def train_stage(config, settings):
        work_dir = Path(config.work_dir)
        calls.append((work_dir.name, config.load_from, config.resume))
        leave_checkpoint(config, settings)
        (work_dir / 'best_mIoU_iter_7.pth').touch()
        marker = dict(best_checkpoint='best_mIoU_iter_7.pth', iterations=10, settings=settings)
        write_json(config, COMPLETE, marker)

    monkeypatch.setattr(stages, 'train_stage', train_stage)
    monkeypatch.setattr(stages, 'rehearse', lambda config: None)
    return calls


def leave_checkpoint(config: Config, settings: dict | None = None) -> str:
    """What a run leaves that was killed after iteration 5."""
    settings = settings or stages.decisive_settings(config, 'warmup' in config.work_dir)
    write_json(config, STARTED, dict(settings=settings))
    checkpoint = Path(config.work_dir, 'iter_5.pth')
    torch.save({}, checkpoint)
    Path(config.work_dir, POINTER).write_text(str(checkpoint))
    return str(checkpoint)


def best(config: Config) -> str:
    return str(Path(config.work_dir, 'best_mIoU_iter_7.pth'))


def test_one_launch_trains_all_stages(configs, trained):
    train_stages(configs, resume=False)
    assert trained == [('warmup', None, False), ('mlcl', best(configs[0]), False)]


def test_a_complete_warmup_is_not_trained_again(configs, trained):
    train_stages(configs[:1], resume=False)
    train_stages(configs, resume=False)
    assert [name for name, *_ in trained] == ['warmup', 'mlcl']


def test_checkpoints_without_the_marker_do_not_make_a_warmup_complete(configs, trained, tmp_path):
    leave_checkpoint(configs[0])
    (tmp_path / 'warmup' / 'best_mIoU_iter_7.pth').touch()
    train_stages(configs, resume=False)
    assert trained[0] == ('warmup', None, False)


def test_resume_goes_on_with_the_warmup(configs, trained):
    checkpoint = leave_checkpoint(configs[0])
    train_stages(configs, resume=True)
    assert trained == [('warmup', checkpoint, True), ('mlcl', best(configs[0]), False)]
    assert configs[0].model.backbone.init_cfg is None


def test_resume_goes_on_with_mcl(configs, trained):
    train_stages(configs[:1], resume=False)
    checkpoint = leave_checkpoint(configs[1])
    train_stages(configs, resume=True)
    assert trained[1:] == [('mlcl', checkpoint, True)]


def test_resume_between_the_stages(configs, trained):
    train_stages(configs[:1], resume=False)
    train_stages(configs, resume=True)
    assert trained[1:] == [('mlcl', best(configs[0]), False)]


def test_resume_without_anything_starts_anew(configs, trained):
    train_stages(configs, resume=True)
    assert [name for name, *_ in trained] == ['warmup', 'mlcl']


def test_nothing_to_resume(configs, trained, capsys):
    train_stages(configs, resume=False)
    train_stages(configs, resume=True)
    assert len(trained) == 2
    assert 'mlcl is complete: there is nothing to resume' in capsys.readouterr().out


def test_a_new_start_sets_aside_what_is_there(configs, monkeypatch, tmp_path):
    """Killed before its first checkpoint, a new run must not be resumed from an older one's."""

    def killed(config, settings):
        raise KeyboardInterrupt

    for config in configs:
        leave_checkpoint(config)
    monkeypatch.setattr(stages, 'train_stage', killed)
    monkeypatch.setattr(stages, 'rehearse', lambda config: None)
    with pytest.raises(KeyboardInterrupt):
        train_stages(configs, resume=False)
    for name in ('warmup', 'mlcl'):
        left = [path.name for path in (tmp_path / name).iterdir() if path.is_file()]
        assert left == ['.lock']
        kept = {path.name for path in (tmp_path / name).glob('superseded_*/*')}
        assert kept == {'iter_5.pth', POINTER, STARTED}


def test_a_config_that_asks_to_resume_begins_all_the_same(configs, trained):
    for config in configs:
        config.resume = True
    train_stages(configs, resume=True)
    assert [resume for *_, resume in trained] == [False, False]


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
    settings = stages.decisive_settings(configs[0])
    assert settings['train_dataloader']['collate_fn'] == (
        f'{__name__}.test_other_data_are_other_settings'
    )
    assert settings['model']['names'] == ['a', 'b', 'c']


def test_the_start_of_a_run_may_be_gone_when_it_goes_on(configs, trained, tmp_path):
    start = tmp_path / 'start.pth'
    start.write_bytes(b'weights')
    configs[1].load_from = str(start)
    leave_checkpoint(configs[1], stages.decisive_settings(configs[1]))
    start.rename(tmp_path / 'moved.pth')
    train_stages(configs[1:], resume=True)
    configs[1].load_from = str(tmp_path / 'moved.pth')
    leave_checkpoint(configs[1], stages.decisive_settings(configs[1]))
    Path(configs[1].work_dir, COMPLETE).unlink()
    train_stages(configs[1:], resume=True)
    assert [resume for *_, resume in trained] == [True, True]
    (tmp_path / 'moved.pth').write_bytes(b'another')
    configs[1].load_from = str(tmp_path / 'moved.pth')
    with pytest.raises(InputError, match=r'load_from was .7 bytes .*, is now .7 bytes '):
        train_stages(configs[1:], resume=True)


def test_a_checkpoint_to_start_from_that_is_not_there(configs, trained):
    configs[1].load_from = 'none.pth'
    with pytest.raises(InputError, match='The checkpoint none.pth does not exist: give an iter_'):
        train_stages(configs[1:], resume=False)


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


def test_a_moved_work_dir_is_resumed_from_its_own_checkpoint(configs, trained, tmp_path):
    leave_checkpoint(configs[0])
    shutil.copytree(tmp_path / 'warmup', tmp_path / 'copy')
    configs[0].work_dir = str(tmp_path / 'copy')
    resume_from_latest(configs[0])
    assert configs[0].load_from == str(tmp_path / 'copy' / 'iter_5.pth')


def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(configs, trained, capsys):
    checkpoint = leave_checkpoint(configs[0])
    later = Path(configs[0].work_dir, 'iter_10.pth')
    later.write_bytes(Path(checkpoint).read_bytes()[:-30])
    train_stages(configs, resume=True)
    assert trained[0] == ('warmup', checkpoint, True)
    told = capsys.readouterr().out
    assert f'{later} is damaged' in told
    assert 'The one before is tried.' in told


def test_no_checkpoint_can_be_read(configs, trained):
    Path(leave_checkpoint(configs[0])).write_bytes(b'torn')
    with pytest.raises(InputError, match='No checkpoint in .*warmup can be read: leave out'):
        train_stages(configs, resume=True)


def test_a_second_run_in_a_work_dir_is_refused(configs, trained):
    """While it lives; a killed one leaves the folder free."""
    holder = subprocess.Popen(
        [sys.executable, '-c', HOLD, configs[1].work_dir], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == 'held\n'
    with pytest.raises(InputError, match=rf'mlcl is in use by another run .process {holder.pid} '):
        train_stages(configs, resume=False)
    assert trained == []
    holder.kill()
    holder.wait()
    train_stages(configs, resume=False)
    assert len(trained) == 2


def test_runs_share_a_complete_warmup(configs, trained, monkeypatch):
    """While MCL trains, another run may start from the same warm-up, but not train in its place."""
    train = stages.train_stage
    held = {}

    def train_stage(config, settings):
        for other in configs:
            process = FORK.Process(target=hold, args=(other.work_dir,))
            process.start()
            process.join()
            held[Path(config.work_dir).name, Path(other.work_dir).name] = process.exitcode != 0
        train(config, settings)

    monkeypatch.setattr(stages, 'train_stage', train_stage)
    train_stages(configs[:1], resume=False)
    train_stages(configs, resume=False)
    assert held['warmup', 'warmup']
    assert held['mlcl', 'mlcl']
    assert not held['mlcl', 'warmup']


def hold(folder):
    with locked_folder(folder):
        pass


HOLD = """
import sys, time
sys.stderr = open('/dev/null', 'w')
from contextlib import redirect_stdout
with redirect_stdout(sys.stderr):
    from mlcl_mmseg.durable_files import locked_folder
with locked_folder(sys.argv[1]):
    print('held', flush=True)
    time.sleep(60)
"""


def test_a_warmup_whose_best_checkpoint_is_gone(configs, trained):
    train_stages(configs[:1], resume=False)
    Path(best(configs[0])).unlink()
    with pytest.raises(InputError, match='warmup is complete but best_mIoU_iter_7.pth is not th'):
        train_stages(configs, resume=False)


def test_a_damaged_marker(configs, trained):
    train_stages(configs[:1], resume=False)
    Path(configs[0].work_dir, COMPLETE).write_text('')
    with pytest.raises(InputError, match=r'complete\.json cannot be read .*: remove '):
        train_stages(configs, resume=False)


def test_stages_that_share_a_work_dir(configs, trained, tmp_path):
    configs[1].work_dir = str(tmp_path / 'mlcl' / '..' / 'warmup')
    with pytest.raises(InputError, match='warmup is the work dir of two stages: give each its own'):
        train_stages(configs, resume=False)


def test_a_warmup_that_keeps_no_best_checkpoint(configs, trained):
    configs[0].default_hooks.checkpoint.save_best = None
    with pytest.raises(InputError, match='warmup would keep no best checkpoint to start'):
        train_stages(configs, resume=False)
    assert trained == []


def test_a_schedule_that_ends_elsewhere_is_told(configs, trained, capsys):
    configs[0].param_scheduler.end = 11
    configs[1].param_scheduler.end = 5
    train_stages(configs, resume=False)
    told = capsys.readouterr().out
    assert told.count('Note that') == 1
    assert 'max_iters is 10 but param_scheduler.end 5, not one more' in told


@pytest.mark.parametrize(
    'options',
    [
        {'optim_wrapper.optimizer.lr': None},
        {'optim_wrapper.paramwise_cfg.lr_mult': dict(decode_hed=3)},
        {'param_scheduler.end': 0},
        {'custom_hooks.0.interval': 3},
        {},
    ],
)
def test_a_mistake_in_mcl_shows_before_the_warmup(toy_config, options):
    config = toy_config('mlcl', 4, 2, **{'custom_hooks.0.interval': 2, **options})
    with pytest.raises((ValueError, TypeError)) if options else nullcontext():
        rehearse(config)


def load(path):
    return torch.load(path, weights_only=False)['state_dict']


def test_one_launch_is_two_launches(toy_config, tmp_path):
    """MCL behind its warm-up ends with the weights of MCL by itself."""

    def stage(name, folder):
        options = {'custom_hooks.0.interval': 1} if name == 'mlcl' else {}
        config = toy_config(name, 2, 1, **options)
        config.work_dir = str(tmp_path / folder / name)
        config.experiment_name += folder
        return config

    train_stages([stage('warmup', 'one'), stage('mlcl', 'one')], resume=False)
    mlcl = stage('mlcl', 'two')
    (mlcl.load_from,) = map(str, (tmp_path / 'one/warmup').glob('best_*.pth'))
    train_stages([mlcl], resume=False)
    one, two = (load(tmp_path / folder / 'mlcl/iter_2.pth') for folder in ('one', 'two'))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_killed_in_the_last_validation(toy_config, tmp_path, monkeypatch):
    """The validation is repeated, and only then is the stage complete."""

    def killed(loop):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ValLoop, 'run', killed)
        with pytest.raises(KeyboardInterrupt):
            train_stages([toy_config('warmup', 2, 2)], resume=False)
    assert not (tmp_path / 'warmup' / COMPLETE).exists()
    shutil.move(tmp_path / 'warmup', tmp_path / 'moved')
    config = toy_config('warmup', 2, 2)
    config.work_dir = str(tmp_path / 'moved')
    config.experiment_name += '_again'
    train_stages([config], resume=True)
    marker = stages.read_json(config, COMPLETE)
    assert marker['best_checkpoint'] == 'best_mIoU_iter_2.pth'
    assert (tmp_path / 'moved' / 'best_mIoU_iter_2.pth').is_file()
    assert not (tmp_path / 'warmup').exists()
