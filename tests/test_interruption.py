"""Ctrl-C ends a process by the signal, in one line, whatever a library does with the exception."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlcl_mmseg import interruption

FILE = Path(interruption.__file__)
PROGRAM = """
import os, runpy, signal, time
module = runpy.run_path({file!r})
with module['interruptible']():
{body}
print('went on')
"""
INTERRUPT = 'os.kill(os.getpid(), signal.SIGINT)'


def run(*lines):
    body = '\n'.join(f'    {line}' for line in lines)
    program = PROGRAM.format(file=str(FILE), body=body)
    return subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)


@pytest.mark.parametrize(
    'lines',
    [
        [INTERRUPT],
        ['try:', f'    {INTERRUPT}', 'except BaseException:', '    pass'],
        [
            'try:',
            f'    {INTERRUPT}',
            'except BaseException as error:',
            "    raise ValueError('a consequence') from error",
        ],
        ['try:', f'    {INTERRUPT}', 'except BaseException:', '    raise SystemExit(0)'],
    ],
    ids=['alone', 'swallowed', 'another error follows', 'exit code 0'],
)
def test_the_process_ends_by_the_signal_with_one_line(lines):
    done = run(*lines)
    assert done.returncode == -signal.SIGINT
    assert (done.stdout, done.stderr) == ('', f'{interruption.INTERRUPTED}\n')


def test_without_an_interruption_nothing_changes():
    assert run('pass').stdout == 'went on\n'
    done = run("raise ValueError('a defect')")
    assert done.returncode == 1 and 'Traceback' in done.stderr


def test_a_second_one_ends_at_once():
    """Although the first one is being waited for."""
    lines = [
        *('try:', f'    {INTERRUPT}'),
        *('except KeyboardInterrupt:', '    try:', f'        {INTERRUPT}'),
        *('    except BaseException:', "        print('swallowed')"),
    ]
    done = run(*lines)
    assert done.returncode == -signal.SIGINT
    assert done.stdout == ''


def test_a_process_that_ignores_it_goes_on():
    assert run('pass').stdout == 'went on\n'
    program = PROGRAM.format(file=str(FILE), body=f'    {INTERRUPT}')
    ignore = 'import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n'
    done = subprocess.run([sys.executable, '-c', ignore + program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, 'went on\n')


def test_worker_processes_leave_it_to_the_main_process():
    before, shared = signal.getsignal(signal.SIGINT), []
    try:
        interruption.start_worker(shared.append, 3)
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert shared == [3]
