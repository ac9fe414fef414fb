"""What the pages show besides commands: configs, names, links."""

import pkgutil
import re
from itertools import chain
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import Registry
from mmseg import registry
from mmseg.registry import DATASETS

from mlcl_mmseg.command_line import check_setting
from mlcl_mmseg.config_check import check_config
from mlcl_mmseg.toy_world import write_toy_world

from .pages import PAGES, ROOT, definitions_of, files_of, inline_code, read_page

FILES = dict(each for page in PAGES for each in files_of(page))
DEFINITIONS = dict(each for page in PAGES for each in definitions_of(page))
# how paths of files begin
FOLDERS = 'configs|tools|docs|tests|mlcl_mmseg'


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """The project's configs and the files of the pages, in one folder."""
    for path in ROOT.glob('configs/**/*.py'):
        link = tmp_path / path.relative_to(ROOT)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def shown_with(words):
    """The path of the one file in the pages that has some words in it."""
    (name,) = [name for name, text in FILES.items() if words in text]
    return name


def test_a_file_is_shown_once():
    assert len(FILES) == sum(1 for page in PAGES for _ in files_of(page))


@pytest.mark.parametrize('name', [name for name in FILES if name.startswith('configs/')])
def test_configs(shown, name):
    config = Config.fromfile(shown / name)
    check_config(config)
    assert config.get('stage_before') is None or Path(config.stage_before).is_file()


@pytest.mark.parametrize('place', DEFINITIONS)
def test_domains(place):
    for domain in Config.fromstring(DEFINITIONS[place], '.py').values():
        check_config(dict(test_dataloader=dict(dataset=domain)))
        assert DATASETS.get(domain.type)


def test_full_label_resolution(shown, tmp_path, monkeypatch):
    """Images at the working size, labels as they are."""
    write_toy_world(tmp_path / 'data', 1, (96, 64), seed=0, num_workers=1)
    monkeypatch.setenv('MLCL_DATA_ROOT', str(tmp_path / 'data'))
    config = Config.fromfile(shown / shown_with('test_full_resolution'))
    for name, expected in (('test_dataloader', (64, 96)), ('val_dataloader', (320, 640))):
        sample = DATASETS.build(config[name].dataset)[0]
        assert sample['inputs'].shape == (3, 320, 640)
        assert sample['data_samples'].gt_sem_seg.shape == expected


@pytest.mark.parametrize('base', ['g2ci', 'g2cmi_19', 'g2ci_segformer'])
def test_teacher(shown, base):
    """Also for other sizes."""
    text = (shown / shown_with('TeacherHook')).read_text()
    path = shown / f'configs/mlcl/{base}_teacher.py'
    path.write_text(text.replace('g2ci', base))
    config = Config.fromfile(path)
    check_config(config)
    assert [hook.type for hook in config.custom_hooks] == ['TeacherHook']
    with_files = Config.fromfile(shown / f'configs/mlcl/{base}.py')
    assert config.train_dataloader.dataset.target_pipeline == [
        step
        for step in with_files.train_dataloader.dataset.target_pipeline
        if step.type != 'LoadSoftPseudoLabel'
    ]


def test_every_option_of_the_table_is_a_setting():
    """What stands in for the released program's options is in the shipped configs."""
    text = (ROOT / 'docs/released_program.md').read_text()
    rows = re.findall(r'^\| (`--.*) \| (.*) \|$', text, re.M)
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
        assert isinstance(pkgutil.resolve_name(name), type), name


def test_every_open_decision_has_its_four_parts():
    fidelity = (ROOT / 'docs/fidelity.md').read_text()
    sections = re.findall(r'^### (Q\d)\. .*\n((?:(?!^#).*\n)*)', fidelity, re.M)
    assert [name for name, _ in sections] == [f'Q{number}' for number in range(1, 10)]
    for name, text in sections:
        parts = re.findall(r'^- \*\*(\w+)\*\*: \S', text, re.M)
        assert parts == ['Released', 'Here', 'Option', 'Changes'], name


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
class TestPage:
    def test_named_files_exist(self, page):
        """Files, folders, tests and modules of the project in inline code."""
        files = [str(each.relative_to(ROOT)) for each in project_files()]
        for line, code in inline_code(page):
            for name in re.findall(rf'(?<![\w/.])(?:{FOLDERS})/[\w/.*-]*', code):
                assert name in FILES or any(ROOT.glob(name.rstrip('./'))), f'{name}, line {line}'
            for name in re.findall(r'(?<![\w/.*>}])[\w/]+\.(?:py|sh)\b', code):
                # a page may leave out the first folders
                known = any(f'/{each}'.endswith(f'/{name}') for each in [*files, *FILES])
                assert known, f'{name}, line {line}'
            for file, name in re.findall(r'([\w/]+\.py)::(\w+)', code):
                assert f'def {name}(' in (ROOT / file).read_text(), f'{name}, line {line}'
            for name in re.findall(r'(?<![\w/.])mlcl_mmseg(?:\.\w+)+', code):
                pkgutil.resolve_name(name)

    def test_links_lead_somewhere(self, page):
        _, text = read_page(page)
        for target, anchor in re.findall(r'\]\((?!https?:)([^)#]*)(#[^)]*)?\)', text):
            linked = page.parent / target if target else page
            assert linked.exists(), target
            if anchor:
                headings = re.findall(r'^#+ (.*)$', read_page(linked)[1], flags=re.M)
                slugs = [
                    re.sub(r'[^\w -]', '', each.lower()).replace(' ', '-') for each in headings
                ]
                assert anchor[1:] in slugs, anchor

    def test_nothing_is_left_open(self, page):
        text = page.read_text()
        assert not re.findall(r'^[A-Z]{4,}$|\b(?:TODO|FIXME|XXX|Q\d[A-C])\b', text, re.M)


def project_files():
    folders = [ROOT.glob(f'{name}/**/*.*') for name in FOLDERS.split('|')]
    return [*ROOT.glob('*.py'), *chain(*folders)]
