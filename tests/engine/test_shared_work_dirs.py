"""Several runs in the same work dirs."""

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

from mlcl_mmseg.durable_files import locked_folder
from mlcl_mmseg.engine import stages
from mlcl_mmseg.engine.stages import train_stages
from mlcl_mmseg.errors import InputError

FORK = multiprocessing.get_context('fork')


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
