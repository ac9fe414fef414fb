"""The authors' figures, and a run beside them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from PIL import Image

from mlcl_mmseg.engine.config_record import write_config
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.methods.mcl.released.published import (
    compare,
    fluctuation,
    published_curve,
    published_results,
    read,
    results_markdown,
    setting_of,
)

ROOT = Path(__file__).parents[4]
TOOL = ROOT / 'tools/analysis_tools/compare_published.py'


@pytest.mark.parametrize('path', sorted((ROOT / 'configs/mlcl').glob('*.py')), ids=lambda p: p.stem)
def test_configs_have_the_names_of_the_settings(path):
    config = Config.fromfile(path)
    if path.stem in published_results():
        assert setting_of(config) == path.stem
    else:
        with pytest.raises(InputError, match='The authors published no .*: choose one of .*g2ci'):
            setting_of(config)


@pytest.mark.parametrize(
    ('config', 'options'),
    [
        ('demo/mlcl', {}),
        ('mlcl/g2ci', {'model.backbone.depth': 50}),
        ('mlcl/g2ci_segformer', {'model.backbone.embed_dims': 32}),
        ('mlcl/g2ci', {'val_dataloader.dataset.pipeline.2.scale': (320, 160)}),
    ],
)
def test_other_networks_and_sizes_are_not_theirs(config, options):
    config = Config.fromfile(ROOT / f'configs/{config}.py')
    config.merge_from_dict(options)
    with pytest.raises(InputError, match='The authors published no results of gta5 to '):
        setting_of(config)


def test_full_label_resolution_is_not_theirs():
    config = Config.fromfile(ROOT / 'configs/mlcl/g2ci.py')
    config.val_dataloader.dataset.pipeline = config.pipelines.test_full_resolution
    with pytest.raises(InputError, match='evaluated at full label resolution: choose one of'):
        setting_of(config)


def test_every_published_setting_has_configs():
    names = {path.stem for path in (ROOT / 'configs/mlcl').glob('*.py')}
    assert set(published_results()) == {*read('curves'), 'c2mi_19'}
    assert set(published_results()) <= names
    with pytest.raises(InputError, match='published no curve of c2mi_19, only of c2mi, g2ci_vgg'):
        published_curve('c2mi_19')


@pytest.mark.parametrize('setting', published_results())
def test_figures_agree_with_each_other(setting):
    figures = published_results()[setting]
    domains = figures['per_domain']
    mean = sum(each['mIoU'] for each in domains.values()) / len(domains)
    assert mean == pytest.approx(figures['mean_mIoU'], abs=0.011)
    for each in domains.values():
        if 'IoU' in each:
            assert len(each['IoU']) == figures['classes']
            mean = sum(each['IoU'].values()) / figures['classes']
            # the authors' log of MiT-B5 on IDD has 51.62, its classes average 51.59
            assert mean == pytest.approx(
                each['mIoU'], abs=0.04 if 'segformer' in setting else 0.011
            )
    if setting in read('curves'):
        for row in published_curve(setting).values():
            assert set(row) == {*figures['targets'], 'mean'}


def test_the_page_of_results_is_theirs():
    assert results_markdown() in (ROOT / 'docs/results.md').read_text()


def test_differences_and_fluctuation():
    published = {1000: dict(idd=10.0, mean=10.0), 2000: dict(idd=12.0, mean=12.5)}
    found = {1500: dict(idd=1.0, mean=1.0), 2000: dict(idd=11.0, mean=13.0)}
    assert compare(found, published) == {2000: dict(idd=-1.0, mean=0.5)}
    assert fluctuation(published) == 2.5
    with pytest.raises(
        InputError, match='no validation at an iteration that the authors validated: .* every 1000'
    ):
        compare({10: found[1500]}, published)


def leave_run(work_dir: Path, figures: dict[str, list[str]], config='mlcl/g2ci') -> None:
    """A run's config, and lines of scalars by time of start."""
    work_dir.mkdir()
    write_config(Config.fromfile(ROOT / f'configs/{config}.py'), work_dir / 'config.json')
    for name, lines in figures.items():
        (work_dir / name / 'vis_data').mkdir(parents=True)
        (work_dir / name / 'vis_data' / 'scalars.json').write_text('\n'.join(lines) + '\n')


def validation(step: int, cityscapes: float, idd: float) -> str:
    mean = (cityscapes + idd) / 2
    return json.dumps(
        {'mIoU/cityscapes': cityscapes, 'mIoU/idd': idd, 'mIoU': mean, 'time': 0.1, 'step': step}
    )


def run(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, TOOL, *arguments]
    return subprocess.run([str(each) for each in command], capture_output=True, text=True, cwd=ROOT)


def test_a_run_beside_the_authors(tmp_path):
    """Interrupted in a line, resumed and validated again: the later figures count."""
    training = json.dumps(dict(loss=1.0, step=50))
    first = [training, validation(1000, 50, 60), validation(2000, 1, 1), '{"mIoU": 3']
    later = [validation(2000, 70, 66), validation(2500, 1, 1)]
    leave_run(tmp_path / 'run', {'20260101_000000': first, '20260102_000000': later})
    # the chart of an earlier comparison
    (tmp_path / 'run' / 'published.png').touch()
    done = run(tmp_path / 'run')
    assert done.returncode == 0, done.stderr
    curve = published_curve('g2ci')
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith('|')]
    assert rows[0][1::2] == ['iteration', 'cityscapes', 'idd', 'mean']
    assert [row[1] for row in rows[1:]] == ['1000', '2000']
    for row, (step, figures) in zip(rows[1:], {1000: (50, 60, 55), 2000: (70, 66, 68)}.items()):
        shown = [part.strip('()') for part in row if part[0].isdigit() or part[0] in '(']
        expected = [str(step)]
        for value, name in zip(figures, ('cityscapes', 'idd', 'mean')):
            expected += [f'{value:.2f}', f'{value - curve[step][name]:+.2f}']
        assert shown == expected
    mean = sum(value - curve[step]['mean'] for step, value in ((1000, 55), (2000, 68))) / 2
    assert f'last 2 validations: {mean:+.2f}.' in done.stdout
    with Image.open(tmp_path / 'run' / 'published.png') as picture:
        assert len(set(picture.convert('RGB').resize((200, 100)).getdata())) > 20


@pytest.mark.parametrize(
    ('config', 'lines', 'arguments', 'sentence'),
    [
        ('warmup/g2ci', [], [], 'is not a config of MCL, the only method with published'),
        ('mlcl/g2ci', ['{"loss": 1, "step": 50}'], [], 'has no validations (*/vis_data/scalars'),
        ('mlcl/g2ci', [validation(7, 1, 1)], [], 'The run has no validation at an iteration that'),
        ('mlcl/g2ci', [], ['--out', 'README.md'], 'README.md exists already: choose another --out'),
        ('mlcl/g2ci', [], ['--out', 'x.bmp'], '--out x.bmp must end with .png or .svg or .pdf'),
        ('mlcl/g2ci', [], ['--setting', 'g2cm'], 'g2cm is validated on cityscapes, mapillary, b'),
    ],
)
def test_what_cannot_be_compared(tmp_path, config, lines, arguments, sentence):
    leave_run(tmp_path / 'run', {'20260101_000000': lines}, config)
    done = run(tmp_path / 'run', *arguments)
    assert done.returncode == 1
    assert sentence in done.stderr.splitlines()[-1]
    assert 'Traceback' not in done.stderr


def test_a_folder_that_is_no_run(tmp_path):
    assert 'config.json cannot be read (it does not exist)' in run(tmp_path).stderr
    assert 'none/config.json cannot be read' in run(tmp_path / 'none').stderr
