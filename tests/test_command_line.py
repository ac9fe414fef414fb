"""What the tools share."""

import argparse
import os
import signal

import pytest
from torch.utils.data import DataLoader, Dataset

from mlcl_mmseg.command_line import (
    check_writable,
    count,
    count_from_zero,
    find_config,
    load_config,
    size,
)
from mlcl_mmseg.errors import InputError, MissingFileError
from mlcl_mmseg.shipped import CONFIGS
from mlcl_mmseg.tool_exit import end_with_sentence


class Damaged(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise InputError('x.png cannot be read (OSError: gone): replace it.')


@pytest.mark.parametrize('num_workers', [0, 1])
def test_one_sentence_and_an_exit_code(num_workers):
    """Also from a loader's worker, whose exceptions come with its traceback in the message."""
    with pytest.raises(SystemExit) as end:
        end_with_sentence(lambda: list(DataLoader(Damaged(), num_workers=num_workers)))
    assert end.value.code == 'x.png cannot be read (OSError: gone): replace it.'


def test_a_missing_file_is_a_sentence_too():
    def main():
        raise MissingFileError('data/GTA5 does not exist: link it.')

    with pytest.raises(SystemExit, match='^data/GTA5 does not exist: link it.$'):
        end_with_sentence(main)


class Killed(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_of_a_loader_is_a_sentence():
    with pytest.raises(SystemExit, match=r'^DataLoader worker .* use fewer num_workers in'):
        end_with_sentence(lambda: list(DataLoader(Killed(), num_workers=1)))


def test_a_defect_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        end_with_sentence(lambda: 1 / 0)


def test_the_default_work_dir(tmp_path, monkeypatch):
    (tmp_path / 'mlcl').mkdir()
    path = tmp_path / 'mlcl' / 'mine.py'
    path.write_text('model = dict(type="MCLSegmentor")')
    assert load_config(str(path), {}, None, 'none').work_dir == 'work_dirs/mlcl/mine'
    assert load_config(str(path), {}, 'elsewhere', 'none').work_dir == 'elsewhere'
    assert load_config(str(path), dict(work_dir='opted'), None, 'none').work_dir == 'opted'


@pytest.mark.parametrize('work_dirs', [(None, None), ('runs/warmup', 'runs')])
def test_stages_that_begin_in_one_second_are_two_experiments(work_dirs):
    """MMEngine keeps logs, figures and best scores by the name of the experiment."""
    names = [
        load_config(f'configs/{stage}/g2ci.py', {}, work_dir, 'none').experiment_name
        for stage, work_dir in zip(('warmup', 'mlcl'), work_dirs)
    ]
    assert names[0] != names[1]


def test_a_config_that_is_not_there():
    with pytest.raises(InputError, match='The config nowhere.py does not exist'):
        load_config('nowhere.py', {}, None, 'none')


def test_an_option_that_would_do_nothing(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text('size = 7\nmodel = dict(type="Other", size=size)\ntest_pipeline = []')
    with pytest.raises(InputError, match='size is a variable that .*config.py has already used'):
        load_config(str(path), {'size': 8}, None, 'none')
    # MMSegmentation reads it
    load_config(str(path), {'test_pipeline': [dict(type='Resize')]}, None, 'none')


def test_without_workers_none_persists(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text('train_dataloader = dict(num_workers=2, persistent_workers=True)')
    assert load_config(str(path), {}, None, 'none').train_dataloader.persistent_workers
    options = {'train_dataloader.num_workers': 0}
    assert not load_config(str(path), options, None, 'none').train_dataloader.persistent_workers


def test_an_option_of_the_stage_before(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text('stage_before = "configs/warmup/g2ci.py"')
    for name in ('stage_before', 'warmup'):
        with pytest.raises(InputError, match='only tools/train.py runs: pass configs/warm'):
            load_config(str(path), {f'{name}.train_cfg.max_iters': 1}, None, 'none')


@pytest.mark.parametrize(
    ('kind', 'text', 'message'),
    [
        (count, '0', "'0' is not an integer of at least 1"),
        (count, '1.5', "'1.5' is not an integer of at least 1"),
        (count_from_zero, '-1', "'-1' is not an integer of at least 0"),
        (size, '640', "'640' is not of the form WIDTHxHEIGHT, as in 640x320"),
        (size, '640x0', "'640x0' is not of the form WIDTHxHEIGHT"),
    ],
)
def test_arguments_that_are_no_numbers(kind, text, message):
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        kind(text)


def test_arguments_that_are_numbers():
    assert (count('1'), count_from_zero('0'), size('640x320')) == (1, 0, (640, 320))


def test_a_folder_that_cannot_be_written(tmp_path):
    check_writable(str(tmp_path / 'new'), '--out')
    assert list(tmp_path.rglob('*')) == [tmp_path / 'new']
    (tmp_path / 'file').touch()
    for folder in ('file', 'file/below'):
        with pytest.raises(InputError, match=f'{folder} cannot be written .*: choose .* --out'):
            check_writable(str(tmp_path / folder), '--out')


def test_shipped_configs_in_any_folder(tmp_path, monkeypatch, capsys):
    """The user's own file of that name comes first."""
    monkeypatch.chdir(tmp_path)
    shipped = CONFIGS / 'demo/mlcl.py'
    assert find_config('configs/demo/mlcl.py') == str(shipped)
    said = capsys.readouterr()
    assert said.err == f'configs/demo/mlcl.py is not in this folder: {shipped} is used.\n'
    assert said.out == ''
    assert load_config('configs/demo/mlcl.py', {}, None, 'none').work_dir == 'work_dirs/demo/mlcl'
    own = tmp_path / 'configs/demo/mlcl.py'
    own.parent.mkdir(parents=True)
    own.touch()
    capsys.readouterr()
    assert find_config('configs/demo/mlcl.py') == 'configs/demo/mlcl.py'
    assert find_config(str(own)) == str(own)
    assert capsys.readouterr().err == ''


@pytest.mark.parametrize(
    'path', ['configs/demo/none.py', 'configs/demo', 'tools/train.py', 'configs/../tools/train.py']
)
def test_only_configs_are_shipped_configs(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingFileError, match=f'The config {path} does not exist: pass'):
        find_config(path)
