"""Every command of the pages is run as a reader would paste it, or stands in :data:`ELSEWHERE`."""

import re
from contextlib import nullcontext
from itertools import groupby

import pytest

from .pages import ROOT, all_scripts

SCRIPTS = all_scripts()

# how a command begins that is not run here, and where it is: a test, what stands in a file, or by
# hand and why
ELSEWHERE = {
    r'git clone ': 'by hand: CI starts in a clone',
    r'make test\b(?!-)': '.ci/run: make test',
    r'make (lint|docs)': 'Makefile: test: lint docs unit',
    r'make format': 'by hand: changes files',
    r'make test-thorough': 'by hand: half an hour of what `make test` has in short',
    r'make (classic|test-classic)': 'by hand: needs Python 3.10, compiles for ten minutes',
    r'pip install -c constraints.txt': 'Makefile: pip install --quiet -c constraints.txt',
    r'pip install dist/': 'tests/test_package.py::test_the_command_and_a_config',
    r'pip install filelock ftfy': 'Makefile: filelock ftfy pydantic regex prettytable rich scipy',
    r'tensorboard ': 'by hand: serves until it is stopped',
    r'NNODES=2 ': 'tests/tools/test_nodes.py::test_two_nodes',
    r'python -m tests\.golden\.fidelity': 'by hand: measures, four minutes',
}

# what stands for something else: names in capitals, and what would take long here
STAND_INS = {
    r'\bOUT\b': 'toy',
    r'\bWARMUP\b': '$(echo work_dirs/demo/mlcl/warmup/best_*.pth)',
    r'\bSEED\b(?!=)': '1',
    r'\bOPTION\b': 'optim_wrapper.paramwise_cfg.backbone_rates=nested',
    r'--device cuda': '--device cpu',
    r'mlcl/\{g2ci,g2cmi,g2ci_19,g2cmi_19\}': 'source_only/gta5',
    r'\bgpu-check configs/mlcl/\w+\.py': 'gpu-check configs/demo/mlcl.py --device cpu',
    r'\bgpu-check ': 'gpu-check --minutes 0.7 ',
    r'--images 160 --val-images 40': '--images 2 --val-images 1',
    r'max_iters=800 (.*)end=801': r'max_iters=2 \1end=3',
    # the training beside it ends earlier
    r'best_mIoU_iter_\d+': 'best_mIoU_iter_*',
    r"'deployed.pth'": "'work_dirs/demo/mlcl/best_mIoU_iter_3.pth'",
    # the thin network is none of the authors'
    r'compare_published.py': 'compare_published.py --setting g2ci',
}


def run_here(script):
    return [each for each in script.commands if not any(re.match(x, each.text) for x in ELSEWHERE)]


@pytest.mark.parametrize('script', filter(run_here, SCRIPTS), ids=lambda script: script.place)
def test_command(script, sandbox):
    commands = run_here(script)
    texts = [text for text, _ in commands]
    for name, value in STAND_INS.items():
        texts = [re.sub(name, value, text) for text in texts]
    for output, (_, shown) in zip(sandbox.run(*texts), commands):
        if shown:
            compare(shown, output)


def compare(shown, output):
    """The lines that a page shows are printed, in this order; numbers and widths may differ."""
    printed = iter(shapes(output))
    for line in shapes(shown):
        assert line in printed, f'{line!r} is not printed, or not there:\n{output[-4000:]}'


def shapes(text):
    """Lines without what is another in each run, once where several are alike.

    What logs say before a message is left out, too.
    """
    text = re.sub(r'^\d\d/\d\d [\d:]+ - mmengine - [A-Z]+ - ', '', text, flags=re.MULTILINE)
    text = re.sub(r'[+-]?\d+(?:[.,:]\d+)*(?:e[+-]\d+)?|\bnan\b', '0', text)
    lines = [re.sub(r'[ ━-]+', ' ', line).strip() for line in text.splitlines()]
    return [line for line, _ in groupby(lines)]


def test_what_is_run_elsewhere():
    """It is there, and the pages show no command without need."""
    texts = [each.text for script in SCRIPTS for each in script.commands]
    for begin, where in ELSEWHERE.items():
        assert any(re.match(begin, text) for text in texts), f'No page shows {begin}: remove it.'
        file, _, name = re.split('(::|: )', where, maxsplit=1)
        if file != 'by hand':
            content = (ROOT / file).read_text()
            assert (f'def {name}(' if '::' in where else name) in content, where
    for name in STAND_INS:
        assert any(re.search(name, text) for text in texts), f'No page shows {name}: remove it.'


def test_make_knows_its_targets():
    """Also those that are not made here."""
    texts = [each.text for script in SCRIPTS for each in script.commands]
    rules = set(re.findall(r'^([\w-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE))
    named = [re.match(r'(?:\w+=\S+ )*make ([\w-]+)', text) for text in texts]
    assert {found[1] for found in named if found} <= rules


@pytest.mark.parametrize(
    ('shown', 'output', 'fits'),
    [
        ('a: 1.5 MB', 'b\na: 22 MB', True),
        ('| a |  1.5 |\n| b | -2.0 |', '| a | 1 |\n| b | 22.0 |\n', True),
        ('| x | 1 |\n| x | 2 |', '| x | 3 |', True),
        ('b\na', 'a\nb', False),
        ('1x3x8: differs by 1e-06', '2x3x9: differ by 2e-06', False),
        ('a', '', False),
    ],
)
def test_comparison(shown, output, fits):
    with nullcontext() if fits else pytest.raises(AssertionError):
        compare(shown, output)
