import re
from pathlib import Path

import pytest
from mmengine.runner import Runner

import mlcl_mmseg
from mlcl_mmseg.engine.runner_access import is_resuming, is_training, starting_checkpoint

PACKAGE = Path(mlcl_mmseg.__file__).parent


def test_no_other_module_reads_private_names_of_the_runner():
    modules = [*PACKAGE.rglob('*.py'), *(PACKAGE.parent / 'tools').rglob('*.py')]
    found = [path.name for path in modules if re.search(r'\brunner\._[a-z]', path.read_text())]
    assert found == ['runner_access.py']


@pytest.mark.parametrize(('load_from', 'resume'), [(None, False), ('warmup.pth', True)])
def test_a_runner_knows_where_it_starts(toy_config, load_from, resume):
    runner = Runner.from_cfg(toy_config('warmup', 2, 2, load_from=load_from, resume=resume))
    assert starting_checkpoint(runner) == load_from
    assert is_resuming(runner) is resume
    assert not is_training(runner)
    # the public name builds the loop
    assert runner.train_loop is not None
    assert is_training(runner)
