"""Ctrl-C: the first one ends a tool in order and with one line, a second one ends it at once."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

INTERRUPTED = 'Interrupted: start the same command again, a training with --resume.'


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt in the block, and again at its end if it was swallowed.

    At the top level, Python then ends the process by the signal, as shells expect: a loop over
    several commands ends as well. Python's handler would allow a library to swallow the exception,
    and a second Ctrl-C would only raise another one. A process that ignores Ctrl-C
    continues to do so.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # a shell starts commands in the background like this
        yield
        return
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGINT, interrupt)
    sys.excepthook = report
    try:
        yield
    except (Exception, SystemExit) as error:
        if interrupted:
            raise KeyboardInterrupt from error
        raise
    finally:
        if not interrupted:
            signal.signal(signal.SIGINT, previous)
    if interrupted:
        raise KeyboardInterrupt


def report(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Print an exception that ends the process; of an interruption, one line."""
    if issubclass(kind, KeyboardInterrupt):
        print(INTERRUPTED, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


def start_worker(share: Callable[..., None] | None = None, *arguments: Any) -> None:
    """Let a worker process of a pool ignore Ctrl-C, which a terminal sends to all processes.

    Args:
        share (Callable, optional): A function that the worker calls first.
        *arguments: Its arguments.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if share is not None:
        share(*arguments)
