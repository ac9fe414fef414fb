"""A Python that has imported everything: each start of it is a fork, so that it takes no seconds.

`WarmPython` starts the server, a process of its own, and writes a program `python` which lets
the server fork and run what stands on the command line, in the caller's folder and environment and
on its files. Whatever starts that `python` is fast: a reader's shell, make, srun, torchrun.
"""

import gc
import json
import multiprocessing.spawn
import os
import runpy
import select
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

FORK = multiprocessing.get_context('fork')
# names the server's socket
ADDRESS = 'WARM_PYTHON'
CLIENT = f"""#!{sys.executable} -SEs
import json, os, socket, sys
argv = [os.path.abspath(sys.argv[0]), *sys.argv[1:]]
request = dict(argv=argv, folder=os.getcwd(), environment=dict(os.environ))
with socket.socket(socket.AF_UNIX) as server:
    server.connect(os.environ['{ADDRESS}'])
    socket.send_fds(server, [b'.'], [0, 1, 2])
    server.sendall(json.dumps(request).encode() + b'\\n')
    sys.exit(int(server.recv(16) or 1))
"""


class WarmPython:
    """A server in its own process, and what starts Python by it; to be used in a ``with``.

    Args:
        checkout (Path): A folder with the package, the tools and these tests.
        address (Path): Of the server's socket, which is made.
    """

    def __init__(self, checkout: Path, address: Path) -> None:
        self.checkout = checkout
        self.address = address

    def __enter__(self):
        """Start the server and wait until it has imported everything."""
        command = [sys.executable, '-X', 'utf8', '-m', __name__, str(self.address)]
        self.process = subprocess.Popen(
            command,
            cwd=self.checkout,
            env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(self.checkout)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        # imports may print, too
        assert b'ready\n' in iter(self.process.stdout.readline, b'')
        return self

    def __exit__(self, *_):
        """Stop the server and what it has forked."""
        self.process.communicate()

    def environment(self, **variables: str) -> dict[str, str]:
        """What a caller of `python` needs in its environment."""
        return {**os.environ, ADDRESS: str(self.address), **variables}


def write_client(path: Path) -> None:
    """Write the program that looks like Python and asks the server."""
    path.write_text(CLIENT)
    path.chmod(0o755)


def warm_up() -> None:
    """Import what the tools of this folder import."""
    for tool in sorted(Path.cwd().glob('tools/**/*.py')):
        sys.path[0] = str(tool.parent)
        runpy.run_path(str(tool))
    import mmseg.apis  # noqa: F401
    import onnxscript  # noqa: F401
    from mmseg.utils import register_all_modules
    from yapf.yapflib import yapf_api

    register_all_modules()
    # every checkpoint dumps the config through a formatter that takes seconds
    yapf_api.FormatCode = lambda text, **_: (text, False)
    # what is there need not be looked at, and so copied, by each fork
    gc.freeze()
    # others would be missing in a fork, which might wait for them (onnxruntime starts one)
    assert len(os.listdir('/proc/self/task')) == 1, 'the server has threads'


def serve(address: str) -> None:
    """Fork for each caller and tell it the exit code, until the standard input ends.

    A caller that goes away takes its process with it.
    """
    warm_up()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    print('ready', flush=True)
    # by the connection to its caller: a process, and the descriptor that tells its end (not its
    # sentinel, which is closed when it becomes another program)
    running: dict[socket.socket, tuple[multiprocessing.Process, int]] = {}
    while True:
        callers = {end: caller for caller, (_, end) in running.items()}
        ready = {*select.select([0, listener, *running, *callers], [], [])[0]}
        if 0 in ready:
            for process, _ in running.values():
                process.kill()
            os._exit(0)
        for caller in running.keys() & ready:
            running[caller][0].kill()
        for end in callers.keys() & ready:
            os.close(end)
            with callers[end] as caller, suppress(BrokenPipeError):
                process, _ = running.pop(caller)
                process.join()
                code = process.exitcode
                caller.sendall(str(code if code >= 0 else 128 - code).encode())
        if listener in ready:
            caller, _ = listener.accept()
            _, files, _, _ = socket.recv_fds(caller, 1, 3)
            request = json.loads(caller.makefile().readline())
            process = FORK.Process(target=run, args=(files,), kwargs=request)
            process.start()
            running[caller] = process, os.pidfd_open(process.pid)
            for file in files:
                os.close(file)


def run(files: list[int], argv: list[str], folder: str, environment: dict[str, str]) -> None:
    """Do what Python does with these arguments."""
    for number, file in enumerate(files):
        os.dup2(file, number)
    # streams of their own: those of this process know whether its files could be sought in
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, 'w', 1), os.fdopen(2, 'w', 1)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[1:1] = filter(None, environment.get('PYTHONPATH', '').split(os.pathsep))
    sys.executable, *arguments = argv
    multiprocessing.spawn.set_executable(sys.executable)
    if arguments[0] == '-u':
        del arguments[0]
    what, *sys.argv = arguments
    if what == '-c':
        sys.argv.insert(0, what)
        exec(sys.argv.pop(1), dict(__name__='__main__'))
    elif what == '-':
        sys.argv.insert(0, what)
        exec(sys.stdin.read(), dict(__name__='__main__'))
    elif what == '-m':
        sys.path[0] = folder
        runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)
    else:
        sys.argv.insert(0, what)
        sys.path[0] = str(Path(what).resolve().parent)
        runpy.run_path(what, run_name='__main__')


if __name__ == '__main__':
    serve(sys.argv[1])
