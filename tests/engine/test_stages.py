"""Which stage is trained, resumed or left alone."""

import shutil
from pathlib import Path

import pytest

from mlcl_mmseg.engine import stages
from mlcl_mmseg.engine.stage_files import COMPLETE, POINTER, STARTED
from mlcl_mmseg.engine.stages import resume_from_latest, train_stages
from mlcl_mmseg.errors import InputError

from ..small_run import skip_rehearsal
from .pretended_stages import best, leave_checkpoint, make_config


def test_one_launch_trains_all_stages(configs, trained):
    train_stages(configs, resume=False)
    assert trained == [('warmup', None, False), ('mlcl', best(configs[0]), False)]


def test_a_complete_warmup_is_not_trained_again(configs, trained):
    train_stages(configs[:1], resume=False)
    train_stages(configs, resume=False)
    assert [name for name, *_ in trained] == ['warmup', 'mlcl']


def test_a_third_stage(trained, tmp_path):
    """A complete stage makes those before it unnecessary, whatever is left of them."""
    configs = [make_config(tmp_path / name) for name in ('warmup', 'second', 'third')]
    train_stages(configs, resume=False)
    starts = [None, best(configs[0]), best(configs[1])]
    assert trained == [
        (name, start, False) for name, start in zip(('warmup', 'second', 'third'), starts)
    ]
    shutil.rmtree(configs[0].work_dir)
    train_stages(configs, resume=False)
    assert trained[3:] == [('third', starts[2], False)]
    Path(configs[1].work_dir, COMPLETE).unlink()
    train_stages(configs[:1], resume=False)
    train_stages(configs, resume=False)
    assert [name for name, *_ in trained[4:]] == ['warmup', 'second', 'third']


def test_an_early_stage_with_other_settings_is_not_passed_over(trained, tmp_path):
    """The later stages were trained from it, though they are complete themselves."""
    configs = [make_config(tmp_path / name) for name in ('warmup', 'second', 'third')]
    train_stages(configs, resume=False)
    configs[0].optim_wrapper.optimizer.lr = 0.2
    with pytest.raises(InputError, match=r'warmup is complete but was .*lr was 0.1, is now 0.2'):
        train_stages(configs, resume=False)
    assert len(trained) == 3


def test_resume_goes_on_with_the_second_of_three(trained, tmp_path):
    configs = [make_config(tmp_path / name) for name in ('warmup', 'second', 'third')]
    train_stages(configs[:1], resume=False)
    checkpoint = leave_checkpoint(configs[1])
    train_stages(configs, resume=True)
    assert trained[1:] == [('second', checkpoint, True), ('third', best(configs[1]), False)]


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
    skip_rehearsal(monkeypatch)
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


def test_a_checkpoint_to_start_from_that_is_not_there(configs, trained):
    configs[1].load_from = 'none.pth'
    with pytest.raises(InputError, match='The checkpoint none.pth does not exist: give an iter_'):
        train_stages(configs[1:], resume=False)


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
    assert 'The checkpoint before it is tried.' in told


def test_no_checkpoint_can_be_read(configs, trained):
    Path(leave_checkpoint(configs[0])).write_bytes(b'torn')
    with pytest.raises(InputError, match='No checkpoint in .*warmup can be read: start from scr'):
        train_stages(configs, resume=True)


def test_a_warmup_whose_best_checkpoint_is_gone(configs, trained):
    train_stages(configs[:1], resume=False)
    Path(best(configs[0])).unlink()
    with pytest.raises(InputError, match='warmup is complete but best_mIoU_iter_7.pth is missing'):
        train_stages(configs, resume=False)


def test_a_damaged_marker(configs, trained):
    train_stages(configs[:1], resume=False)
    Path(configs[0].work_dir, COMPLETE).write_text('')
    with pytest.raises(InputError, match=r'complete\.json is damaged .*: remove '):
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
