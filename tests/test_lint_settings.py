"""What a commit is checked with is what ``make lint`` checks with."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def test_hooks_have_the_tested_version_of_ruff():
    tested = re.search(r'^ruff==.+$', (ROOT / 'constraints.txt').read_text(), re.M)[0]
    content = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())
    hooks = {hook['id']: hook for repo in content['repos'] for hook in repo['hooks']}
    for name in ('ruff', 'ruff-format'):
        assert hooks[name]['additional_dependencies'] == [tested]
