"""Which stage is trained, resumed or left alone."""

import json
from pathlib import Path

import pytest
from mmengine.config import Config

from mlcl_mmseg.engine import stages
from mlcl_mmseg.engine.stages import MARKER, POINTER, train_stages
from mlcl_mmseg.errors import InputError


def make_config(work_dir: Path, **changes) -> Config:
    return Config(
        dict(
            model=dict(type='Stage', backbone=dict(init_cfg='imagenet')),
            train_dataloader=dict(batch_size=4, num_workers=2, dataset=dict(data_root='data')),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, betas=(0.9, 0.99))),
            param_scheduler=dict(type='PolyLR'),
            train_cfg=dict(max_iters=10),
            randomness=dict(seed=0),
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
        leave_checkpoint(work_dir)
        (work_dir / 'best_mIoU_iter_7.pth').touch()
        marker = dict(best_checkpoint='best_mIoU_iter_7.pth', iterations=10, settings=settings)
        (work_dir / MARKER).write_text(json.dumps(marker))

    monkeypatch.setattr(stages, 'train_stage', train_stage)
    monkeypatch.setattr(stages, 'rehearse', lambda config: None)
    return calls


def leave_checkpoint(work_dir: Path) -> str:
    """What a run leaves that was killed after iteration 5."""
    work_dir.mkdir(exist_ok=True)
    checkpoint = work_dir / 'iter_5.pth'
    checkpoint.touch()
    (work_dir / POINTER).write_text(str(checkpoint))
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
    leave_checkpoint(tmp_path / 'warmup')
    (tmp_path / 'warmup' / 'best_mIoU_iter_7.pth').touch()
    train_stages(configs, resume=False)
    assert trained[0] == ('warmup', None, False)


def test_resume_goes_on_with_the_warmup(configs, trained, tmp_path):
    checkpoint = leave_checkpoint(tmp_path / 'warmup')
    train_stages(configs, resume=True)
    assert trained == [('warmup', checkpoint, True), ('mlcl', best(configs[0]), False)]
    assert configs[0].model.backbone.init_cfg is None


def test_resume_goes_on_with_mcl(configs, trained, tmp_path):
    train_stages(configs[:1], resume=False)
    checkpoint = leave_checkpoint(tmp_path / 'mlcl')
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


def test_a_new_start_makes_what_is_there_stale(configs, monkeypatch, tmp_path):
    """Killed before its first checkpoint, a new run must not be resumed from an older one's."""

    def killed(config, settings):
        raise KeyboardInterrupt

    for name in ('warmup', 'mlcl'):
        leave_checkpoint(tmp_path / name)
    monkeypatch.setattr(stages, 'train_stage', killed)
    monkeypatch.setattr(stages, 'rehearse', lambda config: None)
    with pytest.raises(KeyboardInterrupt):
        train_stages(configs, resume=False)
    assert not list(tmp_path.glob(f'*/{POINTER}'))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(train_cfg=dict(max_iters=20)), 'train_cfg.max_iters was 10, is now 20'),
        (dict(randomness=dict(seed=1)), 'randomness.seed was 0, is now 1'),
        (dict(model=dict(neck='new')), "model.neck was None, is now 'new'"),
        (
            dict(optim_wrapper=dict(optimizer=dict(betas=(0.9, 0.9)))),
            'optim_wrapper.optimizer.betas.1 was 0.99, is now 0.9',
        ),
    ],
)
def test_a_warmup_with_other_settings_is_refused(configs, trained, change, message):
    train_stages(configs[:1], resume=False)
    configs[0].merge_from_dict(change)
    with pytest.raises(InputError, match=f'trained with other settings .{message}.*load_from='):
        train_stages(configs, resume=False)


def test_moved_data_and_other_loaders_are_no_other_settings(configs, trained):
    train_stages(configs[:1], resume=False)
    configs[0].train_dataloader.merge(dict(num_workers=8, dataset=dict(data_root='/elsewhere')))
    configs[0].model.backbone.init_cfg = 'a file'
    train_stages(configs, resume=False)
    assert len(trained) == 2


def test_a_warmup_whose_best_checkpoint_is_gone(configs, trained):
    train_stages(configs[:1], resume=False)
    Path(best(configs[0])).unlink()
    with pytest.raises(InputError, match='warmup is complete but holds no best checkpoint'):
        train_stages(configs, resume=False)
