"""What the README shows works."""

import importlib
import re
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import Registry
from mmseg import registry
from mmseg.registry import DATASETS

from mlcl_mmseg.command_line import check_setting
from mlcl_mmseg.config_check import check_config
from mlcl_mmseg.datasets.toy import write_toy_world

ROOT = Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text()


def test_every_option_of_the_table_is_a_setting():
    """What stands in for the released program's options is in the shipped configs."""
    table = (ROOT / 'docs/released_program.md').read_text()
    rows = re.findall(r'^\| (`--.*) \| (.*) \|$', table, re.M)
    released = set(re.findall(r'`--(\w+)', ' '.join(left for left, _ in rows)))
    assert released == {
        *('name', 'stage', 'src_dataset', 'tgt_dataset', 'n_class', 'img_size', 'resize', 'rcrop'),
        *('freeze_bn', 'gan', 'lr', 'adv', 'no_resume', 'used_save_pseudo', 'rectify', 'bs'),
        *('train_iters', 'resume_path'),
    }
    stages = [Config.fromfile(ROOT / f'configs/{stage}/g2ci.py') for stage in ('warmup', 'mlcl')]
    for key in re.findall(r'`((?:\w+\.)+\w+)', ' '.join(right for _, right in rows)):
        for config in stages:
            check_setting(key, config)
        known = [has_key(config, key) for config in stages]
        assert any(known) or key in ('model.adversarial_weight', 'model.gamma'), key


def has_key(config, key):
    for name in key.split('.'):
        if not isinstance(config, dict | Config) or name not in config:
            return False
        config = config[name]
    return True


def test_named_files_exist():
    names = re.findall(r'(?:configs|tools|docs|tests|mlcl_mmseg)/[\w/]+\.(?:py|sh|md)', README)
    assert len(names) > 8
    for name in names:
        assert (ROOT / name).is_file(), name


def test_every_type_is_in_the_configuration_reference():
    page = (ROOT / 'docs/configuration.md').read_text()
    listed = re.findall(r'^::: (mlcl_mmseg\.\S+)$', page, re.M)
    registered = {
        f'{entry.__module__}.{entry.__name__}'
        for each in vars(registry).values()
        if isinstance(each, Registry)
        for entry in each.module_dict.values()
        if entry.__module__.startswith('mlcl_mmseg.')
    }
    assert len(registered) > 30
    assert registered <= set(listed), registered - set(listed)
    for name in listed:
        module, _, kind = name.rpartition('.')
        assert isinstance(getattr(importlib.import_module(module), kind), type), name


def test_every_open_decision_has_its_four_parts():
    fidelity = (ROOT / 'docs/fidelity.md').read_text()
    sections = re.findall(r'^### (Q\d)\. .*\n((?:(?!^#).*\n)*)', fidelity, re.M)
    assert [name for name, _ in sections] == [f'Q{number}' for number in range(1, 10)]
    for name, text in sections:
        parts = re.findall(r'^- \*\*(\w+)\*\*: \S', text, re.M)
        assert parts == ['Released', 'Here', 'Option', 'Changes'], name


def test_full_label_resolution(tmp_path, monkeypatch):
    """The config of docs/evaluate.md: images at the working size, labels as they are."""
    write_toy_world(tmp_path / 'data', 1, (96, 64), seed=0, num_workers=1)
    monkeypatch.setenv('MLCL_DATA_ROOT', str(tmp_path / 'data'))
    page = (ROOT / 'docs/evaluate.md').read_text()
    (text,) = re.findall(r"```python\n(_base_ = './g2ci.py'\n.*?)```", page, flags=re.S)
    path = ROOT / 'configs/mlcl/g2ci.py'
    (tmp_path / 'config.py').write_text(text.replace('./g2ci.py', str(path)))
    config = Config.fromfile(tmp_path / 'config.py')
    for name, expected in (('test_dataloader', (64, 96)), ('val_dataloader', (320, 640))):
        sample = DATASETS.build(config[name].dataset)[0]
        assert sample['inputs'].shape == (3, 320, 640)
        assert sample['data_samples'].gt_sem_seg.shape == expected


@pytest.mark.parametrize('base', ['g2ci', 'g2cmi_19', 'g2ci_segformer'])
def test_teacher(tmp_path, base):
    """The config of docs/method.md, also for other sizes."""
    method = (ROOT / 'docs/method.md').read_text()
    (text,) = re.findall(r"```python\n(_base_ = './g2ci.py'\n.*?)```", method, flags=re.S)
    path = ROOT / f'configs/mlcl/{base}.py'
    (tmp_path / 'config.py').write_text(text.replace('./g2ci.py', str(path)))
    config = Config.fromfile(tmp_path / 'config.py')
    check_config(config)
    assert [hook.type for hook in config.custom_hooks] == ['TeacherHook']
    with_files = Config.fromfile(path).train_dataloader.dataset.target_pipeline
    assert config.train_dataloader.dataset.target_pipeline == [
        step for step in with_files if step.type != 'LoadSoftPseudoLabel'
    ]


@pytest.mark.parametrize(
    'page', [*ROOT.glob('docs/*.md'), ROOT / 'README.md'], ids=lambda p: p.name
)
def test_links_lead_somewhere(page):
    text = page.read_text()
    for target, anchor in re.findall(r'\]\((?!https?:)([^)#]*)(#[^)]*)?\)', text):
        linked = page.parent / target if target else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r'^#+ (.*)$', linked.read_text(), flags=re.M)
            slugs = [re.sub(r'[^\w -]', '', each.lower()).replace(' ', '-') for each in headings]
            assert anchor[1:] in slugs, anchor
    placeholders = re.findall(r'^[A-Z]{4,}$|\b(?:TODO|FIXME|XXX|Q\d[A-C])\b', text, re.M)
    assert not placeholders
