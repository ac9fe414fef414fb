"""The figures of a check of a GPU as text, for its page and for the terminal."""

from collections.abc import Sequence
from typing import Any

from prettytable import PrettyTable

from .advice import part

# what stands for a figure that has not been measured
NONE = '–'


def number(value: float | None, form: str = '.3g') -> str:
    """A figure as text."""
    return NONE if value is None else f'{value:{form}}'


def percent(value: float | None) -> str:
    """A share from 0 to 1 in percent."""
    return NONE if value is None else f'{100 * value:.0f} %'


def precision_cells(check: dict[str, Any], name: str) -> list[str]:
    """The figures of a precision as text, see :func:`precision_heads`."""
    found = part(check, 'precisions').get(name, {})
    if 'seconds_per_step' not in found:
        state = 'failed' if 'error' in found else 'skipped'
        return [state, *[NONE] * (len(precision_heads(check)) - 2)]
    return step_cells(check, found)


def step_cells(check: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """The figures of measured steps as text, see :func:`precision_heads`."""
    seconds = found['seconds_per_step']
    released = check['released_seconds']
    return [
        number(seconds),
        number(found['images_per_second']),
        number(found['hours']),
        *([] if released is None else [f'{released / seconds:.2g}']),
        percent(found.get('device_share')),
        number(found['host_seconds_per_step']),
        number(found.get('allocated_gib'), '.1f'),
        number(found.get('reserved_gib'), '.1f'),
    ]


def precision_heads(check: dict[str, Any]) -> list[str]:
    """The titles of the figures of a precision."""
    return [
        *('precision', 's a step', 'images/s', f'h for {check["iterations"]} steps'),
        *([] if check['released_seconds'] is None else ['released = 1']),
        *('GPU busy', 's on the host', 'GiB', 'GiB reserved'),
    ]


def run_rows(check: dict[str, Any]) -> list[list[str]]:
    """The hours of each stage and of all stages as text."""
    stages = part(check, 'whole_run').get('stages', [])
    rows = [
        [
            each['stage'],
            str(each['iterations']),
            number(each['seconds_per_step']),
            *(number(each[key]) for key in ('steps', 'validations', 'pseudo_labels', 'hours')),
        ]
        for each in stages
    ]
    total = sum(each['hours'] for each in stages)
    return [*rows, ['all stages', *[''] * 5, number(total)]] if len(stages) > 1 else rows


def summary(check: dict[str, Any], failed: Sequence[str]) -> str:
    """The main figures of a check for the terminal."""
    parity = part(check, 'parity')
    precisions = PrettyTable([*precision_heads(check), 'same as CPU'])
    for name in part(check, 'precisions'):
        passed = parity.get(name, {}).get('passed')
        same = NONE if passed is None else 'yes' if passed else 'NO'
        precisions.add_row([name, *precision_cells(check, name), same])
    lines = [str(precisions)] if precisions.rows else []
    compiled = part(check, 'compiled')
    if compiled:
        seconds = number(compiled['seconds_per_step'])
        lines.append(f'Seconds of a step in {compiled["precision"]} when compiled: {seconds}')
    batch = part(check, 'batch')
    for search in batch.get('searches', []):
        options = f' with {search["options"]}' if search['options'] else ''
        lines.append(f'Largest batch in {batch["precision"]}{options}: {search["largest"]}')
    run = part(check, 'whole_run')
    for stage, *_, total in run_rows(check):
        lines.append(f'Hours of {stage} in {run["precision"]}: {total}')
    lines += [f'Failed: {each}' for each in failed]
    lines += [f'To change: {each}' for each in check.get('advice', [])]
    return '\n'.join(lines)
