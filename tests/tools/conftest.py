"""The converter of IDD, in this process."""

import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from .idd_frames import CONVERTER


@pytest.fixture(scope='module')
def idd_converter():
    specification = importlib.util.spec_from_file_location('idd_converter', CONVERTER)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def convert_idd(idd_converter, monkeypatch):
    """The command, in this process: threads stand for its worker processes."""
    threads = lambda workers, **_: ThreadPoolExecutor(workers)  # noqa: E731
    monkeypatch.setattr(idd_converter, 'ProcessPoolExecutor', threads)

    def convert_idd(root, workers=2, *options):
        command = ['idd.py', str(root), '--workers', str(workers), *options]
        monkeypatch.setattr(sys, 'argv', command)
        idd_converter.main()

    return convert_idd
