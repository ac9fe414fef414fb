"""What belongs to one method is named in its folder alone."""

import ast
import re
from pathlib import Path

import mlcl_mmseg

PACKAGE = Path(mlcl_mmseg.__file__).parent
TOOLS = PACKAGE.parent / 'tools'
# converter and figures of the program that the authors of MCL released
TOOLS_OF_A_METHOD = ('mcl2mmseg', 'compare_published', 'published_results')
# attributes of segmentors, parts of checkpoints and optimisers that only one method has
ATTRIBUTES = (
    *('WARMUP_PARTS', 'needed_parts', 'discriminators', 'ensemble_head', 'selection_quantile'),
    *('entropy_floor', 'style_transfer', 'self_information_maps'),
)


def rooms():
    """The modules of each method."""
    base = PACKAGE / 'methods' / 'base.py'
    return [path for path in (PACKAGE / 'methods').rglob('*.py') if path != base]


def definitions():
    """Classes that methods define, and functions of their steps."""
    return {
        node.name
        for path in rooms()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
        or (isinstance(node, ast.FunctionDef) and 'released' not in path.parts)
    }


def others():
    outside = [path for path in PACKAGE.rglob('*.py') if 'methods' not in path.parts]
    tools = [path for path in TOOLS.rglob('*.py') if path.stem not in TOOLS_OF_A_METHOD]
    return [*outside, *tools]


def lines_that_name(names, paths):
    pattern = re.compile(rf'\b({"|".join(sorted(names))})\b')
    return [
        f'{path.relative_to(PACKAGE.parent)}:{number}: {line.strip()}'
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_line_outside_names_a_method():
    names = {'MCLSegmentor', 'AdversarialWarmup', 'SourceOnly', 'DiscriminatorHook'}
    found = definitions()
    assert names | {'select_pseudo_label', 'self_information', 'distillation'} < found
    # a word of its own is no name
    found = {name for name in found if name[0].isupper() or '_' in name}
    assert lines_that_name({*found, *ATTRIBUTES}, others()) == []


def test_the_search_finds_names():
    """In the methods' own folders there are some."""
    assert len(lines_that_name(ATTRIBUTES, rooms())) > 10
