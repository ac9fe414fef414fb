"""Reading runs, and seeing which of them differ in the seed alone."""

import json
import math
import sys

import pytest

from mlcl_mmseg.errors import InputError, MissingFileError
from mlcl_mmseg.report.groups import figure, group_runs, leader
from mlcl_mmseg.report.run import read_run, short_names

from .conftest import ROOT, leave_run


def test_what_a_run_left(tmp_path):
    run = leave_run(tmp_path / 'run')
    assert run.validations[2000] == dict(cityscapes=70.0, idd=60.0, mean=65.0)
    assert (run.best, run.iterations, run.seed, run.is_complete) == (2000, 2000, 0, False)
    assert run.best_record['iteration'] == 2000
    assert run.scalars['loss'] == {50: 3.0, 100: 1.0}
    assert 'mIoU' not in run.scalars
    assert run.published.setting == 'g2ci'
    assert run.best_checkpoint is None
    (run.folder / 'best_mIoU_iter_2000.pth').touch()
    assert run.best_checkpoint.name == 'best_mIoU_iter_2000.pth'


def test_what_was_validated_again_counts(tmp_path):
    """Killed within a line, gone on in a second log; what is set aside is not read."""
    leave_run(tmp_path / 'run')
    first = tmp_path / 'run/20260101_000000'
    with open(first / 'vis_data/scalars.json', 'a') as file:
        file.write('{"mIoU": 3')
    second = tmp_path / 'run/20260102_000000'
    (second / 'vis_data').mkdir(parents=True)
    again = {'mIoU/cityscapes': 1.0, 'mIoU/idd': 3.0, 'mIoU': 2.0, 'step': 2000}
    (second / 'vis_data/scalars.json').write_text(json.dumps(again) + '\n')
    (second / 'validations').mkdir()
    (second / 'validations/iter_2000.json').write_text(
        json.dumps(dict(iteration=2000, classes=[], palette=[], confusion={}, images={}))
    )
    (first.parent / 'superseded_x').mkdir()
    first.joinpath('validations').rename(first.parent / 'superseded_x/validations')
    run = read_run(tmp_path / 'run', 'run')
    assert run.validations[1000]['mean'] == 55
    assert run.validations[2000] == dict(cityscapes=1.0, idd=3.0, mean=2.0)
    assert run.best == 1000
    assert list(run.records) == [2000]
    assert run.records[2000]['classes'] == []


def test_what_is_no_run(tmp_path):
    with pytest.raises(MissingFileError, match='does not exist: pass the work dir of a run'):
        read_run(tmp_path / 'none', 'none')
    with pytest.raises(MissingFileError, match='has no started.json: pass a work dir'):
        read_run(tmp_path, 'empty')
    leave_run(tmp_path / 'run')
    scalars = tmp_path / 'run/20260101_000000/vis_data/scalars.json'
    environment = tmp_path / 'run/20260101_000000/environment.json'
    for path, content, message in (
        (environment, '{', f'{environment} is damaged'),
        (scalars, '', 'has no figures yet'),
        (tmp_path / 'run/started.json', None, 'has no started.json: pass a work dir of tools/tr'),
    ):
        path.unlink() if content is None else path.write_text(content)
        with pytest.raises(InputError, match=message):
            read_run(tmp_path / 'run', 'run')


@pytest.mark.parametrize(
    ('file', 'content', 'message'),
    [
        ('started.json', '{}', r'started\.json is damaged \(settings: Field required\): omit'),
        ('config.json', '{', r'config\.json is damaged \(.*\): write it with tools/print_config'),
        ('config.json', '{"a": 1}', r'config\.json is not the config of a training \(.*model'),
        (
            '20260101_000000/validations/iter_1000.json',
            '{"iteration": 1000, "classes": ["a"], "palette": [], "confusion": {}, "images": {}}',
            r'iter_1000\.json is damaged \(.*0 entries for 1 classes\): remove it',
        ),
        (
            '20260101_000000/vis_data/scalars.json',
            '{"loss": 1.0, "step": "1"}\n',
            r'scalars\.json is damaged in line 1 \(step: .*\): remove the line',
        ),
        (
            '20260101_000000/vis_data/scalars.json',
            '{"loss": 1.0, "step": 1}\n{"loss": }\n',
            r'scalars\.json is damaged in line 2 \(.*\): remove the line',
        ),
    ],
)
def test_what_is_damaged_is_named(tmp_path, file, content, message):
    run = leave_run(tmp_path / 'run')
    (run.folder / file).write_text(content)
    with pytest.raises(InputError, match=message):
        read_run(run.folder, 'run')


@pytest.mark.parametrize(
    ('key', 'name'),
    [('model', 'os.system'), ('model', 'antigravity'), ('backbone', 'mmseg.os.system')],
)
def test_a_type_that_is_not_registered_is_not_imported(tmp_path, key, name):
    """MMEngine would import it and call it."""
    run = leave_run(tmp_path / 'run')
    path = run.folder / 'config.json'
    content = json.loads(path.read_text())
    (content['model'] if key == 'model' else content['model'][key])['type'] = name
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=f'the type {name!r}, which is not registered: pass --imp'):
        read_run(run.folder, 'run')
    assert 'antigravity' not in sys.modules


def test_python_files_of_a_work_dir_are_not_run(tmp_path):
    run = leave_run(tmp_path / 'run')
    (run.folder / 'analysis.py').write_text('raise SystemExit(3)')
    assert read_run(run.folder, 'run').seed == 0


def test_names_are_as_short_as_they_can_be(tmp_path):
    paths = [tmp_path / name for name in ('a/warmup', 'b/warmup', 'b', 'c/b/d')]
    assert short_names(paths) == ['a/warmup', 'b/warmup', 'b', 'd']


def test_figures():
    assert str(figure([1.0])) == '1.00'
    # the sample's standard deviation
    assert str(figure([1.0, 2.0, 3.0])) == '2.00 ± 1.00'
    assert str(figure([1.0, math.nan])) == '1.00'
    assert str(figure([math.nan])) == '–'


def test_seeds_are_one_group(tmp_path):
    better = {1000: (62.0, 50.0), 3000: (80.0, 64.0)}
    runs = [
        leave_run(tmp_path / 'seed_1', seed=1, figures=better),
        leave_run(tmp_path / 'other', model=dict(gamma=2)),
        leave_run(tmp_path / 'seed_0'),
    ]
    seeds, other = group_runs(runs)
    assert [run.seed for run in seeds.runs] == [0, 1]
    assert other.runs == [runs[1]]
    assert (seeds.name, other.name) == ('seed_{0,1}', 'other')
    # each run at its own best: 70 and 80, 60 and 64, 65 and 72
    assert str(seeds.best('cityscapes')) == '75.00 ± 7.07'
    assert str(seeds.best('mean')) == '68.50 ± 4.95'
    # a curve where both were validated
    means, spread = seeds.curve(lambda run: {k: row['idd'] for k, row in run.validations.items()})
    assert (means, spread) == ({1000: 50.0}, {1000: 0.0})
    assert other.curve(lambda run: run.scalars['loss']) == ({50: 3.0, 100: 1.0}, {})
    assert seeds.each(lambda run: run.seed) == '0, 1'
    assert other.each(lambda run: run.config.model.type) == 'MCLSegmentor'
    assert leader([seeds, other]) is seeds


@pytest.mark.parametrize(('of_origin', 'groups'), [(dict(), 1), (dict(model='other'), 2)])
def test_the_stage_before_counts_but_for_its_seed(tmp_path, of_origin, groups):
    runs = []
    for seed, settings in ((0, {}), (1, of_origin)):
        warmup = leave_run(tmp_path / f'run_{seed}/warmup', seed, **settings)
        run = leave_run(tmp_path / f'run_{seed}/mlcl', seed)
        run.config.load_from = str(warmup.folder / 'best.pth')
        runs.append(run)
    assert len(group_runs(runs)) == groups


def test_colours_come_again(tmp_path):
    runs = [leave_run(tmp_path / f'run{number}', gamma=number) for number in range(9)]
    style = (ROOT / 'mlcl_mmseg/report/page.css').read_text()
    colours = [group.colour for group in group_runs(runs)]
    assert colours == [*range(8), 0]
    assert all(f'.colour-{colour} ' in style for colour in colours)


def test_a_seed_that_has_just_begun_hides_nothing(tmp_path):
    runs = [leave_run(tmp_path / f'seed{seed}', seed) for seed in range(2)]
    new = leave_run(tmp_path / 'seed2', 2, figures={})
    (group,) = group_runs([*runs, new])
    means, spread = group.curve(lambda run: {k: row['idd'] for k, row in run.validations.items()})
    assert means == {1000: 50.0, 2000: 60.0}
    assert spread == {1000: 0.0, 2000: 0.0}
    (alone,) = group_runs([new])
    assert alone.curve(lambda run: run.validations) == ({}, {})


@pytest.mark.parametrize(
    ('names', 'shown'),
    [
        (('seed_0/mlcl', 'seed_1/mlcl'), 'seed_{0,1}/mlcl'),
        (('mlcl', 'mlcl_1'), 'mlcl{,_1}'),
        (('full', 'novel'), '{full,novel}'),
        (('runs/first', 'runs/fifth'), 'runs/{first,fifth}'),
    ],
)
def test_names_of_groups_are_cut_between_words(tmp_path, names, shown):
    runs = [leave_run(tmp_path / f'seed{seed}', seed) for seed in range(2)]
    for run, name in zip(runs, names):
        run.name = name
    (group,) = group_runs(runs)
    assert group.name == shown


def test_many_seeds_have_a_short_name(tmp_path):
    runs = [leave_run(tmp_path / f'seed{seed}/mlcl', seed) for seed in range(4)]
    for run in runs:
        run.name = f'{run.folder.parent.name}/mlcl'
    (group,) = group_runs(runs)
    assert group.name == 'seed{0,1,…}/mlcl'
