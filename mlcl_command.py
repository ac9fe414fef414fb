"""The command mlcl, which runs a tool by its name.

This module lies outside the package, because importing the package takes seconds and listing the
tools should not.
"""

import ast
import difflib
import os
import runpy
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

# the package lies next to this file, both in a checkout and when installed
PACKAGE = Path(__file__).resolve().parent / 'mlcl_mmseg'
TOOLS = runpy.run_path(str(PACKAGE / 'shipped.py'))['TOOLS']


def find_tools() -> dict[str, Path]:
    """All tools by their names, in alphabetical order."""
    found = [path for path in TOOLS.rglob('*') if path.suffix in ('.py', '.sh')]
    return {path.stem: path for path in sorted(found, key=lambda path: path.stem)}


def summary(tool: Path) -> str:
    """The first line of a tool's docstring, or of the first comment of a shell script."""
    text = tool.read_text(encoding='utf-8')
    if tool.suffix == '.sh':
        return text.splitlines()[1].removeprefix('# ')
    return (ast.get_docstring(ast.parse(text)) or '').partition('\n')[0]


def run(name: str, tool: Path, arguments: list[str]) -> None:
    """Run a tool in this process, as if Python or bash had been started with its file."""
    if tool.suffix == '.sh':
        # the scripts call "python", which has to be this interpreter
        path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ.get("PATH", "")}'
        os.execvpe('bash', ['bash', str(tool), *arguments], {**os.environ, 'PATH': path})
    # runpy.run_path would set sys.argv[0] to the file, which the usage message would show
    sys.argv = [f'mlcl {name}', *arguments]
    module = sys.modules['__main__'] = ModuleType('__main__')
    # spawned processes import this file to unpickle objects of the tool
    module.__file__ = str(tool)
    SourceFileLoader('__main__', str(tool)).exec_module(module)


def main() -> None:
    """Run the tool that the command line names, or list all tools."""
    name, *arguments = sys.argv[1:] or ['--help']
    tools = find_tools()
    # a hyphen may stand for an underscore
    tool = name.replace('-', '_')
    if name in ('-h', '--help'):
        width = max(map(len, tools))
        lines = [f'{each:{width}}  {summary(tool)}' for each, tool in tools.items()]
        print('\n'.join(['usage: mlcl TOOL [arguments of the tool, or --help]', '', *lines]))
    elif tool in tools:
        run(name, tools[tool], arguments)
    else:
        known = difflib.get_close_matches(name, tools, n=1)
        hint = f', did you mean {known[0]}?' if known else ': mlcl --help lists them.'
        sys.exit(f'There is no tool {name}{hint}')
