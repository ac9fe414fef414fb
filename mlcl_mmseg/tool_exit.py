"""How a tool ends: with a sentence and an exit code instead of a traceback."""

import io
import os
import sys
from collections.abc import Callable

import torch

from .durable_files import FULL
from .errors import InputError, sentence_of
from .interruption import interruptible


def end_with_sentence(main: Callable[[], None]) -> None:
    """Run a tool. An error that the user can fix ends it with one sentence and exit code 1.

    Ctrl-C ends it as :func:`~mlcl_mmseg.interruption.interruptible` describes. Names of files that
    the terminal cannot show are printed with escapes.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')
    try:
        with interruptible():
            main()
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
            # threads of gloo may abort a process that exits in the usual way
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
    except InputError as error:
        sys.exit(sentence_of(error))
    except RuntimeError as error:
        remedy = remedy_of(error)
        if remedy is None:
            raise
        sys.exit(f'{sentence_of(error)} {remedy}')
    except OSError as error:
        if error.errno not in FULL:
            raise
        sys.exit(f'The disk is full ({error}): free some space and continue with --resume.')


def remedy_of(error: RuntimeError) -> str | None:
    """What the user can do about another process that has ended; None for any other error."""
    text = str(error)
    if text.startswith('DataLoader worker'):
        return (
            'Most likely there was not enough memory: use fewer num_workers in the loaders of the '
            'config, and continue a training with --resume.'
        )
    if 'gloo' in text and any(each in text for each in ('Timed out', 'Connection', 'Read error')):
        return (
            'Another process of this launch has ended or did not answer in time '
            '(env_cfg.dist_cfg.timeout): look at its output, and continue a training with --resume.'
        )
    return None
