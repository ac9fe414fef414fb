"""What a config comes to, and where a setting comes from."""

import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from mlcl_mmseg.errors import InputError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def print_config(run_tool, monkeypatch, capsys):
    """Run the tool in this process from the repository's root; what it prints."""
    monkeypatch.chdir(ROOT)

    def run(*arguments):
        run_tool('print_config.py', *arguments)
        return capsys.readouterr().out

    return run


def test_the_whole_config_is_python(print_config):
    printed = print_config('configs/demo/mlcl.py', '--cfg-options', 'optim_wrapper.optimizer.lr=1')
    config = Config.fromstring(printed, '.py')
    assert config.optim_wrapper.optimizer == dict(type='SGD', lr=1, momentum=0.9, weight_decay=1e-4)
    assert config.model.targets == ['cityscapes', 'mapillary', 'idd']
    assert config.work_dir == 'work_dirs/demo/mlcl'


def test_where_a_setting_comes_from(print_config):
    printed = print_config('configs/demo/mlcl.py', '--where', 'train_cfg.max_iters')
    assert printed.splitlines() == [
        'train_cfg.max_iters = 400',
        '  400 in configs/_base_/schedules/iterations_400.py',
        '  60000 in configs/_base_/schedules/iterations_60k.py',
    ]


def test_the_command_line_comes_last(print_config):
    options = ('--cfg-options', 'optim_wrapper.optimizer.lr=0.1')
    where = ('--where', 'optim_wrapper.optimizer.lr')
    printed = print_config('configs/demo/mlcl.py', *where, *options)
    assert printed.splitlines() == [
        'optim_wrapper.optimizer.lr = 0.1',
        '  0.1 in --cfg-options',
        '  0.02 in configs/demo/mlcl.py',
        '  0.00025 in configs/_base_/schedules/self_training.py',
    ]
    where = ('--where', 'optim_wrapper.optimizer.momentum')
    assert '--cfg-options' not in print_config('configs/demo/mlcl.py', *where, *options)


def test_parts_of_a_dict_and_places_in_a_list(print_config):
    assert print_config('configs/demo/mlcl.py', '--where', 'model').splitlines() == [
        'model is merged from',
        '  configs/demo/mlcl.py',
        '  configs/_base_/models/mcl_resnet101.py',
    ]
    key = 'train_dataloader.dataset.target_pipeline.3.crop_size'
    printed = print_config('configs/demo/mlcl.py', '--where', key)
    assert printed.splitlines()[0] == f'{key} = (128, 64)'


@pytest.mark.parametrize('key', ['model.gama', 'model.targets.9', 'model.targets.one', 'train'])
def test_what_is_not_set(print_config, key):
    with pytest.raises(InputError, match=f'{key} is not set in configs/demo/mlcl.py: correct'):
        print_config('configs/demo/mlcl.py', '--where', key)


def test_a_mistyped_key_ends_in_one_sentence():
    done = subprocess.run(
        [
            *(sys.executable, ROOT / 'tools/print_config.py', ROOT / 'configs/mlcl/g2ci.py'),
            *('--cfg-options', 'train_dataloader.bach_size=2'),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        'train_dataloader.bach_size is no parameter of DataLoader, did you mean batch_size?'
    )
