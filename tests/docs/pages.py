"""What the pages of the project show: commands and what they print, configs, links, names.

Of a page these are commands, and all of them are pasted into a shell by test_commands.py:

- the lines of a ```bash block;
- lines that begin with ``$`` in a block without a language, followed by what they print;
- inline code that begins like a command of this project, see :data:`COMMAND`;
- a ```python block that begins with an import, as a program.

Other ```python blocks are files, see :func:`files_of`, or parts of configs.

A block without a language is what the last command of the ```bash block before it in the section
prints. What is neither a command nor its output is of another language, such as ```text.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md')])
FENCE = re.compile(r'( *)(```+) *(\w*)')
# variables and a tool with arguments, without which it is a name; or another program of a reader
COMMAND = re.compile(
    r'(\w+=\S+ )*'
    r'(python3? \S+ \S|[\w/.]+\.(py|sh) \S|mlcl [\w-]+ \S|make \S|pip install|git clone'
    r'|tensorboard \S)'
)


class Block(NamedTuple):
    """A block of code.

    Attributes:
        page (Path): The page.
        line (int): Where it begins.
        language (str): Of the code; '' if the page says none.
        text (str): The code, without the block's indentation.
        heading (int): The line of the heading above it.
        before (str): The paragraph above it.
    """

    page: Path
    line: int
    language: str
    text: str
    heading: int
    before: str


class Command(NamedTuple):
    """A command, and what the page says that it prints; None if nothing is said."""

    text: str
    output: str | None = None


class Script(NamedTuple):
    """Commands that a reader runs one after the other in one shell, with the place in a page."""

    place: str
    commands: tuple[Command, ...]


def read_page(page: Path) -> tuple[list[Block], str]:
    """The blocks of a page, and its text with empty lines in their place."""
    blocks, text, before = [], [], []
    heading, fence = 0, None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        found = FENCE.match(line)
        if fence is None and found:
            fence, code = found, []
            blocks.append((number, found[3], code, heading, '\n'.join(before)))
        elif fence is not None and line.strip() == fence[2]:
            fence, before = None, []
        elif fence is not None:
            code.append(line.removeprefix(fence[1]))
        else:
            if line.startswith('#'):
                heading = number
            # the last paragraph, also behind an empty line
            before = [*before, line] if not text or text[-1].strip() or not line.strip() else [line]
            text.append(line)
            continue
        text.append('')
    return [
        Block(page, number, language, '\n'.join(code), heading, paragraph)
        for number, language, code, heading, paragraph in blocks
    ], '\n'.join(text)


def inline_code(page: Path) -> Iterator[tuple[int, str]]:
    """Inline code with its line; a line break in it counts as a space."""
    _, text = read_page(page)
    for found in re.finditer(r'(`+)((?:(?!\n\s*\n).)+?)\1(?!`)', text, re.DOTALL):
        yield text.count('\n', 0, found.start()) + 1, ' '.join(found[2].split())


def split_commands(text: str) -> Iterator[str]:
    """The commands of a shell script, each with all its lines; comments are left out."""
    command = ''
    for line in text.splitlines():
        if command or (line.strip() and not line.lstrip().startswith('#')):
            command += f'{line}\n'
            if not line.endswith('\\') and is_whole(command):
                yield command.rstrip()
                command = ''
    if command:
        yield command.rstrip()


def is_whole(command: str) -> bool:
    """Whether nothing is open at the end: a quote, a loop, a text that is fed in."""
    return subprocess.run(['bash', '-n', '-c', command], stderr=subprocess.DEVNULL).returncode == 0


def shown_session(text: str) -> Iterator[Command]:
    """The commands of a block with ``$``, each with the lines that follow it, if there are any."""
    for part in re.split(r'^\$ ', text, flags=re.MULTILINE)[1:]:
        command = ''
        lines = part.splitlines()
        while lines:
            command += f'{lines.pop(0)}\n'
            if not command.endswith('\\\n'):
                break
        yield Command(command.rstrip(), '\n'.join(lines) or None)


def scripts_of(page: Path) -> Iterator[Script]:
    """All commands of a page."""
    blocks, _ = read_page(page)
    name = page.relative_to(ROOT)
    for block, following in zip(blocks, [*blocks[1:], None]):
        commands = []
        if block.language == 'bash':
            commands = [Command(each) for each in split_commands(block.text)]
            if (
                following
                and (following.heading, following.language) == (block.heading, '')
                and not following.text.startswith('$ ')
            ):
                commands[-1] = commands[-1]._replace(output=following.text)
        elif block.language == '' and block.text.startswith('$ '):
            commands = [*shown_session(block.text)]
        elif block.language == 'python' and block.text.startswith(('import ', 'from ')):
            commands = [Command(f"python - <<'END'\n{block.text}\nEND")]
        if commands:
            yield Script(f'{name}:{block.line}', tuple(commands))
    for line, code in inline_code(page):
        if COMMAND.match(code):
            yield Script(f'{name}:{line}', (Command(code),))


def all_scripts() -> list[Script]:
    """Those of all pages; a command by itself that another script has, too, is left out."""
    scripts = [script for page in PAGES for script in scripts_of(page)]
    # those of several commands or with output come first
    scripts.sort(key=lambda script: len(script.commands) == 1 and not script.commands[0].output)
    kept, known = [], set()
    for script in scripts:
        texts = [re.sub(r' +#.*', '', text) for text, _ in script.commands]
        if len(texts) > 1 or script.commands[0].output or texts[0] not in known:
            kept.append(script)
        known.update(texts)
    return kept


def files_of(page: Path) -> Iterator[tuple[str, str]]:
    """The whole configs and modules that a page shows: path and text.

    A config begins with ``_base_``, a module with a docstring. It has the last path that the
    paragraph above it names and that is not there, or a name of its own in a folder of configs.
    """
    for block in read_page(page)[0]:
        if block.language == 'python' and block.text.startswith(('_base_ =', '"""')):
            named = re.findall(r'`([\w/]+\.py)`', block.before)
            new = [name for name in named if not (ROOT / name).exists()]
            own = f'configs/mlcl/{page.stem}_{block.line}.py'
            yield new[-1] if new else own, f'{block.text}\n'


def definitions_of(page: Path) -> Iterator[tuple[str, str]]:
    """Parts of configs: place and text."""
    for block in read_page(page)[0]:
        if block.language == 'python' and re.match(r'\w+ = dict\(', block.text):
            yield f'{page.relative_to(ROOT)}:{block.line}', block.text
