"""Several machines, and a process that dies."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .calling import CONFIGS, ROOT, best, schedule


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(('127.0.0.1', 0))
        return opened.getsockname()[1]


def start(work_dir, data, processes, max_iters, *options, **environment):
    """tools/dist_train.sh in the background."""
    command = [
        *(ROOT / 'tools/dist_train.sh', CONFIGS / 'small_warmup.py', processes),
        *('--work-dir', work_dir, '--cfg-options', *schedule(max_iters)),
        *('default_hooks.logger.interval=1', *options),
    ]
    environment = {
        **os.environ,
        'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}',
        'MLCL_REAL_DATA': str(data),
        'OMP_NUM_THREADS': '1',
        **environment,
    }
    return subprocess.Popen(
        [str(part) for part in command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def launched():
    """Processes that do not outlive the test."""
    processes = []
    yield processes
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_two_nodes(toy_data, tmp_path, launched):
    """Two agents of torchrun on one machine, as on two."""
    port = str(free_port())
    for rank in range(2):
        nodes = dict(NNODES='2', NODE_RANK=str(rank), MASTER_ADDR='127.0.0.1', PORT=port)
        launched.append(start(tmp_path, toy_data, 1, 2, **nodes))
    outputs = [process.communicate(timeout=200)[0] for process in launched]
    assert [process.returncode for process in launched] == [0, 0], outputs
    assert 'Iter(train) [2/2]' in ''.join(outputs)
    assert best(tmp_path)


def test_if_one_process_dies_the_others_end(toy_data, tmp_path, launched):
    """With an error, and within a minute."""
    run = start(tmp_path, toy_data, 2, 1000, PORT=str(free_port()))
    launched.append(run)
    send_to_second(run, tmp_path, signal.SIGKILL)
    killed = time.monotonic()
    output, _ = run.communicate(timeout=60)
    assert time.monotonic() - killed < 60
    assert run.returncode != 0
    assert 'Signal 9 (SIGKILL)' in output


@pytest.mark.thorough
def test_if_one_process_stops_answering_the_others_end(toy_data, tmp_path, launched):
    """After the timeout, and the half minute that torchrun gives a process to end."""
    run = start(
        *(tmp_path, toy_data, 2, 1000, 'env_cfg.dist_cfg.timeout=15'), PORT=str(free_port())
    )
    launched.append(run)
    send_to_second(run, tmp_path, signal.SIGSTOP)
    stopped = time.monotonic()
    output, _ = run.communicate(timeout=90)
    assert run.returncode != 0
    assert 'has ended or did not answer in time (env_cfg.dist_cfg.timeout)' in output
    assert 10 < time.monotonic() - stopped < 80


def send_to_second(run, work_dir, number):
    """Send a signal to the second process of a training once it has logged a step."""
    for line in run.stdout:
        if 'Iter(train)' in line:
            break
    ranks = [
        int(path.parent.name)
        for path in Path('/proc').glob('[0-9]*/environ')
        if is_rank(path, work_dir, '1')
    ]
    os.kill(ranks[0], number)


def is_rank(environ: Path, work_dir: Path, rank: str) -> bool:
    """Whether a process is one of the run's ranks, not its loader's worker."""
    try:
        variables = environ.read_bytes().split(b'\0')
        arguments = (environ.parent / 'cmdline').read_bytes()
    except OSError:
        return False
    return f'RANK={rank}'.encode() in variables and str(work_dir).encode() in arguments
