"""The command mlcl, of a checkout; tests/test_package.py has it installed."""

import subprocess
import sys
from pathlib import Path

import pytest

from mlcl_command import find_tools, main, summary

ROOT = Path(__file__).parents[1]


COMMAND = 'import mlcl_command; mlcl_command.main()'


def call(folder, *arguments):
    """Run Python in a folder; the finished process."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={'PYTHONPATH': str(ROOT), 'PATH': '/usr/bin:/bin'},
        capture_output=True,
        text=True,
    )


def test_every_tool_has_a_name_of_its_own_and_a_summary(monkeypatch, capsys):
    files = [path for path in (ROOT / 'tools').rglob('*.*') if path.suffix != '.pyc']
    tools = find_tools()
    assert sorted(tools.values()) == sorted(files)
    monkeypatch.setattr('sys.argv', ['mlcl'])
    main()
    usage, _, *lines = capsys.readouterr().out.splitlines()
    assert usage == 'usage: mlcl TOOL [arguments of the tool, or --help]'
    assert [line.split()[0] for line in lines] == sorted(tools)
    for line, tool in zip(lines, tools.values()):
        assert len(summary(tool)) > 20
        assert line.endswith(summary(tool))


def test_listing_imports_nothing_heavy(tmp_path):
    done = call(tmp_path, '-c', f'{COMMAND}; import sys; print(*sys.modules)')
    modules = set(done.stdout.splitlines()[-1].split())
    assert 'mlcl_command' in modules
    assert not modules & {'mlcl_mmseg', 'mmengine', 'numpy', 'torch'}


@pytest.mark.parametrize(
    ('name', 'sentence'),
    [
        ('trian', 'There is no tool trian, did you mean train?'),
        ('brows-dataset', 'There is no tool brows-dataset, did you mean browse_dataset?'),
        ('xyzzy', 'There is no tool xyzzy: mlcl --help lists them.'),
    ],
)
def test_a_name_that_is_none(monkeypatch, name, sentence):
    monkeypatch.setattr('sys.argv', ['mlcl', name])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == sentence


def test_a_hyphen_stands_for_an_underscore(monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', ['mlcl', 'gpu-check', '--help'])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith('usage: mlcl gpu-check ')


def test_a_tool_as_a_program(tmp_path):
    """Its arguments, its exit code, and functions that processes of its own find."""
    frames = tmp_path / 'gtFine/train/drive'
    frames.mkdir(parents=True)
    for index in range(2):
        polygons = frames / f'{index}_gtFine_polygons.json'
        polygons.write_text('{"imgWidth": 4, "imgHeight": 2, "objects": []}')
    done = call(tmp_path, '-c', COMMAND, 'idd', '.', '--workers', '2')
    assert done.returncode == 0, done.stderr
    assert '2 label images are complete, 2 of them new.' in done.stdout
    done = call(tmp_path, '-m', 'mlcl_mmseg', 'idd')
    assert done.returncode == 2
    assert done.stderr.splitlines()[-2].startswith('usage: mlcl idd [-h]')


def test_a_shell_script(tmp_path):
    """It gets the arguments, gives the exit code, and its python is the one of the command."""
    (tmp_path / 'show.sh').write_text('# shows\nprintf "%s\\n" "$@"; command -v python; exit 3')
    here = COMMAND.replace(';', '; mlcl_command.TOOLS = mlcl_command.Path();', 1)
    done = call(tmp_path, '-c', here, 'show', 'a b', 'c')
    assert done.returncode == 3
    assert done.stdout.splitlines() == ['a b', 'c', str(Path(sys.executable).with_name('python'))]
