"""The page of a check of a GPU."""

from collections.abc import Sequence
from typing import Any

from ..report.document import document
from ..report.markup import Markup, details, paragraph, section, table, tag
from .advice import fastest_precision, part
from .check_text import (
    NONE,
    number,
    percent,
    precision_cells,
    precision_heads,
    run_rows,
    step_cells,
)
from .device_parity import FEW, TOLERANCES

LINKS = dict(
    advice='What to change',
    precisions='Steps',
    parity='Same results',
    compiled='Compiled',
    batch='Batch size',
    loading='Loading',
    run='Whole run',
    environment='Machine',
)


def check_page(check: dict[str, Any]) -> str:
    """The HTML document of a check.

    Args:
        check (dict[str, Any]): Its figures, see
            :class:`~mlcl_mmseg.benchmark.gpu_check.GPUCheck`.
    """
    sections = [
        advice_section(check),
        precision_section(check),
        parity_section(check),
        compiled_section(check),
        batch_section(check),
        loading_section(check),
        run_section(check),
        environment_section(check),
    ]
    return document(f'Check of {processor(check)} for {check["config"]}', sections, LINKS)


def processor(check: dict[str, Any]) -> str:
    """The name of the processor that was checked."""
    versions = part(check, 'environment').get('versions', {})
    names = dict(cpu='CPU', cuda='GPU')
    return versions.get(names[check['device']], f'this {names[check["device"]]}')


def failure(found: dict[str, Any]) -> Markup | None:
    """The sentence of a part without figures, with its traceback; None if it has figures."""
    if 'error' in found:
        return tag(
            'div',
            tag('p', tag('strong', 'Failed: '), found['error']),
            details('Traceback', tag('pre', found['traceback'], tabindex=0)),
        )
    if 'skipped' in found:
        return tag('p', found['skipped'])
    return None if found else tag('p', 'Not reached.')


def part_section(check: dict[str, Any], name: str, title: str, *content: Any) -> Markup:
    """A section of a part of the check, with its failure in place of its content."""
    failed = failure(check.get(name) or {})
    key = 'run' if name == 'whole_run' else name
    return section(title, *([failed] if failed else content), id=key)


def advice_section(check: dict[str, Any]) -> Markup:
    """The section with what to change."""
    sentences = check.get('advice', [])
    return section(
        'What to change',
        tag('ul', [tag('li', each) for each in sentences])
        if sentences
        else tag('p', 'Nothing was found to change.'),
        None
        if check['is_complete']
        else paragraph('This check was interrupted, or is still running.'),
        paragraph(
            f'Measured with random weights and images, {check["batch_size"]} images of each domain '
            'in a batch, on one device.'
        ),
        id='advice',
    )


def precision_section(check: dict[str, Any]) -> Markup:
    """The section with the steps of all precisions."""
    found = part(check, 'precisions')
    released = check['released_seconds']
    rows = [[name, *precision_cells(check, name)] for name in found]
    parts = dict.fromkeys(key for each in found.values() for key in each.get('parts', {}))
    shares = [
        [name, *(percent(each['parts'].get(key)) for key in parts)]
        for name, each in found.items()
        if 'parts' in each
    ]
    work = [
        [name, each['profile']['kernels'], each['profile']['waits']]
        for name, each in found.items()
        if 'kernels' in each.get('profile', {})
    ]
    return part_section(
        check,
        'precisions',
        'Steps',
        table([precision_heads(check)], rows, class_='figures'),
        paragraph(
            'Steps follow one another as in a training, with batches in pinned memory. The seconds '
            'on the host last until a step has been handed to the device, and include waits for '
            'it. The hours are for the steps alone.',
            None
            if released is None
            else f' The speed is relative to that of the released program, whose steps take '
            f'{released} s in the logs of its authors, on a GPU that they do not name.',
        ),
        titled_table('Shares of a step', ['', *parts], shares),
        titled_table('In a step', ['', 'kernels', 'waits of the host'], work),
        [named_failure(name, each) for name, each in found.items()],
        [named_failure(f'{name} profile', each.get('profile', {})) for name, each in found.items()],
    )


def titled_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> Markup | None:
    """A table of figures under a title; None without rows."""
    return tag('div', tag('h3', title), table([heads], rows, class_='figures')) if rows else None


def named_failure(name: str, found: dict[str, Any]) -> Markup | None:
    """The failure of an entry of a part under its name; None if it has figures."""
    failed = failure(found) if 'error' in found or 'skipped' in found else None
    return None if failed is None else tag('div', tag('h3', name), failed)


def parity_section(check: dict[str, Any]) -> Markup:
    """The section with the comparison of the device and the CPU."""
    found = part(check, 'parity')
    compared = {name: each for name, each in found.items() if 'passed' in each}
    keys = [
        (kind, key)
        for kind in ('gradients', 'operations')
        for key in dict.fromkeys(key for each in compared.values() for key in each[kind])
    ]
    titles = dict(gradients='gradient of', operations='differing values of')
    heads = ['precision', '', 'losses', 'statistics', *(f'{titles[a]} {b}' for a, b in keys)]
    rows = [
        [
            name,
            'the same' if each['passed'] else tag('td', 'differs', class_='differs'),
            number(each['losses'], '.1e'),
            number(each['statistics'], '.1e'),
            *(number(each[kind].get(key), '.1e') for kind, key in keys),
        ]
        for name, each in compared.items()
    ]
    limits = '; '.join(
        f'{name} {limit.losses:g} and {limit.gradients:g}'
        for name, limit in TOLERANCES.items()
        if name in compared
    )
    return part_section(
        check,
        'parity',
        'Same results as on the CPU',
        table([heads], rows, class_='figures'),
        paragraph(
            'Relative errors of a step on a small batch in comparison with float32 on the CPU. '
            f'Accepted are, for losses and for gradients: {limits}; and operations of which '
            f'{100 * FEW:g} % of the values differ.'
        ),
        [named_failure(name, each) for name, each in found.items()],
    )


def compiled_section(check: dict[str, Any]) -> Markup:
    """The section with the steps of a compiled backbone."""
    found = part(check, 'compiled')
    passed = found.get('parity', {}).get('passed')
    same = 'was not compared' if passed is None else 'is the same' if passed else 'differs'
    rows = [[found['precision'], *step_cells(check, found)]] if found else []
    return part_section(
        check,
        'compiled',
        'With a compiled backbone',
        table([precision_heads(check)], rows, class_='figures'),
        paragraph(
            'model.compile_backbone.mode=reduce-overhead, without the time for compiling. In '
            f'comparison with the CPU, a step {same}.'
        ),
        named_failure('profile', found.get('profile', {})),
    )


def batch_section(check: dict[str, Any]) -> Markup:
    """The section with the largest batch sizes."""
    found = part(check, 'batch')
    rows = [
        [
            tag('code', search['options']) if search['options'] else 'as configured',
            search['largest'] or 'none',
            search['too_large'] or 'not found',
        ]
        for search in found.get('searches', [])
    ]
    return part_section(
        check,
        'batch',
        f'Largest batch size{" in " + found["precision"] if found else ""}',
        table([['options', 'fits', 'does not fit']], rows, class_='figures'),
        paragraph(
            'Images of each domain. A larger batch changes the training; the options do not. '
            'Other sizes between the two columns were not tried.'
        ),
    )


def loading_section(check: dict[str, Any]) -> Markup:
    """The section with the speed of the loader."""
    found = part(check, 'loading')
    best = fastest_precision(check)
    step = None if best is None else check['precisions'][best]['seconds_per_step']
    rows = [
        [
            f'{name} frames',
            number(seconds),
            NONE if step is None else f'{seconds / step:.1f}',
        ]
        for name, seconds in found.get('seconds_per_batch', {}).items()
    ]
    heads = ['', 's a batch, one process', f'processes that keep up with {best or "a step"}']
    return part_section(
        check,
        'loading',
        'Loading',
        table([heads], rows, class_='figures'),
        paragraph(
            'Frames of 2048×1024 that the check has drawn; photographs may take longer to decode. '
            f'The config has {found.get("num_workers")} loader processes, this machine '
            f'{found.get("cores")} cores.'
        ),
    )


def run_section(check: dict[str, Any]) -> Markup:
    """The section with the hours of the whole training."""
    found = part(check, 'whole_run')
    heads = ['stage', 'steps', 's a step', 'h of steps', 'h of validations', 'h of pseudo-labels']
    return part_section(
        check,
        'whole_run',
        f'Whole run{" in " + found["precision"] if found else ""}',
        table([[*heads, 'hours']], run_rows(check), class_='figures'),
        paragraph(
            f'{NONE}: not known, since the images are not on this machine, and not included. Waits '
            'for the loader, loading images of validations and pseudo-labels, counting pixels, '
            'and writing files are not included either.'
        ),
    )


def environment_section(check: dict[str, Any]) -> Markup:
    """The section with versions and hardware."""
    found = part(check, 'environment')
    rows = [[name, value] for name, value in found.get('versions', {}).items()]
    if 'free_gib' in found:
        memory = f'{found["free_gib"]:.1f} of {found["total_gib"]:.1f} GiB'
        rows.append(['free memory of the GPU at the start', memory])
    return part_section(check, 'environment', 'Machine', table([['', '']], rows))
