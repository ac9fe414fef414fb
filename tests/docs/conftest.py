import shutil

import pytest

from .sandbox import copy_sandbox, make_sandbox


@pytest.fixture(scope='session')
def made(tmp_path_factory):
    """The sandbox that all tests copy."""
    address = tmp_path_factory.mktemp('python') / 'socket'
    with make_sandbox(tmp_path_factory.mktemp('made'), address) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(made, tmp_path):
    """A sandbox of this test's own."""
    yield copy_sandbox(made, tmp_path / 'checkout')
    shutil.rmtree(tmp_path / 'checkout')
