"""What the README shows works."""

import re
from pathlib import Path

from mmengine.config import Config

ROOT = Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text()


def test_your_own_domains(tmp_path):
    """The two Python examples together are a config."""
    domain, setting = re.findall(r'```python\n(.*?)```', README, re.S)
    base, rest = setting.split('\n', 1)
    (tmp_path / 'configs/mlcl').mkdir(parents=True)
    (tmp_path / 'configs/_base_').symlink_to(ROOT / 'configs/_base_')
    path = tmp_path / 'configs/mlcl/own.py'
    path.write_text(f'{base}\n{domain}\n{rest}')
    config = Config.fromfile(path)
    assert config.model.targets == ['cityscapes', 'dusk']
    assert config.val_dataloader.dataset.domains[1].label_map[3] == 0
    assert config.train_dataloader.dataset.targets[1].type == 'FolderDomain'


def test_named_files_exist():
    names = re.findall(r'(?:configs|tools|docs|tests|mlcl_mmseg)/[\w/]+\.(?:py|sh|md)', README)
    assert len(names) > 8
    for name in names:
        assert (ROOT / name).is_file(), name
