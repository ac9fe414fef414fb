"""CONTRIBUTING's "Add a method": a folder and a config outside this project do all that ours do."""

import json
import re
import sys
import time

import pytest
from mmseg.registry import MODELS

from mlcl_mmseg.engine import StreamTrainLoop
from mlcl_mmseg.safe_load import read_checkpoint

from ..tools.calling import CONFIGS, ROOT, best, schedule

SECTION = re.search(
    r'^## Add a method$.*?(?=^## )', (ROOT / 'CONTRIBUTING.md').read_text(), re.M | re.S
)[0]
PACKAGE, CONFIG = re.findall(r'^```python\n(.*?)^```', SECTION, re.M | re.S)
SMALL = ['model.backbone.base_channels=8', 'model.backbone.stem_channels=8']
HEAD = ['model.decode_head.in_channels=64', 'model.decode_head.channels=32']


@pytest.fixture
def config(tmp_path, toy_data, monkeypatch):
    """The method's config, whose package lies in a folder that this project does not know."""
    monkeypatch.setenv('MLCL_REAL_DATA', str(toy_data))
    package = tmp_path / 'elsewhere' / 'entropy_minimisation'
    package.mkdir(parents=True)
    (package / '__init__.py').write_text(PACKAGE)
    monkeypatch.syspath_prepend(package.parent)
    base = CONFIGS / 'small_source_only.py'
    path = package.parent / 'entropy.py'
    path.write_text(CONFIG.replace('./configs/source_only/gta5.py', str(base)))
    yield path
    sys.modules.pop('entropy_minimisation', None)
    MODELS.module_dict.pop('EntropyMinimisation', None)


def options(*more):
    return ['--cfg-options', *SMALL, *HEAD, *more]


@pytest.mark.slow
def test_one_folder_and_one_config_are_a_method(config, tmp_path, run_tool, monkeypatch, capsys):
    work_dir = tmp_path / 'run'
    train = ['train.py', config, '--work-dir', work_dir]

    # a run that is interrupted, and goes on
    run_iter = StreamTrainLoop.run_iter

    def interrupted(loop, batch):
        if loop.max_iters == 4 and loop.iter == 2:
            raise KeyboardInterrupt
        return run_iter(loop, batch)

    with monkeypatch.context() as patch:
        patch.setattr(StreamTrainLoop, 'run_iter', interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_tool(*train, *options(*schedule(4)))
    # the folder of a log has the name of the second in which its run starts
    time.sleep(1)
    run_tool(*train, '--resume', *options(*schedule(4)))
    (started, continued) = sorted(work_dir.glob('*/vis_data/scalars.json'))
    assert 'loss' not in started.read_text()
    logged = [json.loads(line) for line in continued.read_text().splitlines()]
    assert [line['iter'] for line in logged if 'entropy/loss_target/dusk' in line] == [4]
    assert (work_dir / 'complete.json').is_file()

    run_tool('analysis_tools/browse_dataset.py', config, '--out', tmp_path / 'sheets', *options())
    assert (tmp_path / 'sheets' / 'iteration_1.png').is_file()

    capsys.readouterr()
    run_tool(
        *('analysis_tools/benchmark.py', 'step', '--config', config, '--iters', '1'), *options()
    )
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures['tflop'] > 0
    assert {'backbone', 'heads', 'losses'} <= set(figures['shares'])

    stripped = tmp_path / 'stripped.pth'
    run_tool('model_converters/strip.py', best(work_dir), stripped)
    assert len(read_checkpoint(stripped)['state_dict']) > 10
    capsys.readouterr()
    run_tool('test.py', config, stripped, '--work-dir', tmp_path / 'test', *options(*schedule(4)))
    assert 'mIoU, mean over 3 domains' in capsys.readouterr().out

    page = tmp_path / 'report.html'
    imports = ('--imports', 'entropy_minimisation')
    run_tool('analysis_tools/report.py', work_dir, '--out', page, *imports)
    assert 'EntropyMinimisation' in page.read_text()
