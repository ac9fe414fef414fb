"""Overview of the runs: best figures, settings, differences, versions and hardware."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmengine.config import Config

from ..config_check import OLD_STAGE_BEFORE, STAGE_BEFORE
from ..datasets.config_domains import crop_size, working_size
from ..engine.precision import precision_of
from ..errors import InputError
from .groups import Group, published_settings
from .markup import Markup, details, paragraph, section, table, tag
from .run import Run

# settings that differ only because of where a run is stored or how it was started
PLACES = (
    *('work_dir', 'experiment_name', 'load_from', 'resume', 'launcher'),
    *(STAGE_BEFORE, OLD_STAGE_BEFORE),
)


def domains_of(groups: Sequence[Group]) -> list[str]:
    """All validated domains."""
    return list(dict.fromkeys(domain for group in groups for domain in group.domains))


def group_name(group: Group) -> Markup:
    """A group's name with its colour."""
    return tag('span', tag('i', class_=f'dot colour-{group.colour}'), group.name, class_='name')


def best_figures(groups: Sequence[Group]) -> Markup:
    """The section with the mIoU at the best validation, and the authors' for the same settings."""
    domains = domains_of(groups)
    rows = []
    for group in groups:
        state = group.each(lambda run: 'complete' if run.is_complete else 'unfinished')
        rows.append(
            [
                group_name(group),
                tag('strong', group.best('mean')),
                *(group.best(name) for name in domains),
                group.each(lambda run: 'none' if run.best is None else run.best),
                f'{group.each(lambda run: run.iterations)} ({state})',
                group.each(lambda run: run.seed),
            ]
        )
    for published in published_settings(groups):
        figures = published.per_domain
        cells = [f'{figures[name]["mIoU"]:.2f}' if name in figures else '–' for name in domains]
        title = f'{published.setting}, the authors’'
        rows.append([title, f'{published.mean:.2f}', *cells, '–', published.iterations, '–'])
    heads = ['', 'mean', *domains, 'at iteration', 'of', 'seed']
    has_seeds = any(len(group.runs) > 1 for group in groups)
    return section(
        'Best validation',
        table([heads], rows, class_='figures'),
        paragraph(
            'mIoU (%), at the iteration with the highest mean over the domains.',
            ' Runs that differ only in the seed share a row: mean ± sample standard deviation.'
            if has_seeds
            else None,
        ),
        id='best',
    )


def settings(groups: Sequence[Group]) -> Markup:
    """The section with the main settings, then all settings that differ, then whole configs."""
    readers: dict[str, Callable[[Run], Any]] = {
        'model': lambda run: run.config.model.type,
        'backbone': lambda run: describe(run.config.model.backbone),
        'classes': lambda run: run.config.model.decode_head.num_classes,
        'source': lambda run: run.config.train_dataloader.dataset.source.domain,
        'targets': lambda run: (
            ' '.join(each.domain for each in run.config.train_dataloader.dataset.targets) or 'none'
        ),
        'images (width, height)': lambda run: size(run, working_size),
        'crops (width, height)': lambda run: size(run, crop_size),
        'images per domain and step': lambda run: run.settings['train_dataloader']['batch_size'],
        'processes': lambda run: run.environment.get('processes', 'unknown'),
        'iterations': lambda run: run.config.train_cfg.max_iters,
        'learning rate': learning_rate,
        'precision': precision,
        'seed': lambda run: run.seed,
        'starts from': lambda run: run.config.get('load_from') or 'the initial weights',
        'seconds per step (median)': lambda run: median(run, 'time'),
        'GPU memory (MiB)': lambda run: median(run, 'memory'),
    }
    rows = [
        [title, *(group.each(read) for group in groups)]
        for title, read in readers.items()
        if any(read(run) is not None for group in groups for run in group.runs)
    ]
    return section(
        'Settings',
        table([['', *map(group_name, groups)]], rows),
        differences([run for group in groups for run in group.runs]),
        [
            details(f'The config of {run.name}', tag('pre', run.config_text, tabindex=0))
            for group in groups
            for run in [group.first]
        ],
        id='settings',
    )


def describe(backbone: dict) -> str:
    """The type and the settings of a backbone, without the source of its weights."""
    pairs = [f'{key}={backbone[key]}' for key in backbone if key not in ('type', 'init_cfg')]
    return f'{backbone["type"]}({", ".join(pairs)})'


def size(run: Run, read: Callable[[Config], tuple[int, int]]) -> str:
    """The size (width, height) that ``read`` finds in the config of a run, as text."""
    try:
        return '×'.join(map(str, read(run.config)))
    except InputError:
        return 'unknown'


def optimizers(run: Run) -> dict[str, dict]:
    """The configs of a run's optimiser wrappers by name; a single one has the name ''."""
    wrapper = run.config.optim_wrapper
    if 'optimizer' in wrapper:
        return {'': wrapper}
    return {
        name: each
        for name, each in wrapper.items()
        if isinstance(each, dict) and 'optimizer' in each
    }


def learning_rate(run: Run) -> str:
    """The initial learning rates of the optimisers."""
    return ', '.join(
        f'{each["optimizer"]["lr"]:g} {name}'.strip() for name, each in optimizers(run).items()
    )


def precision(run: Run) -> str:
    """The precisions that the network is computed in."""
    precisions = {precision_of(each) for each in optimizers(run).values()}
    is_rounded = run.environment.get('device') == 'cuda'
    names = {'tf32': 'tf32' if is_rounded else 'tf32, which is fp32 without a GPU'}
    return ', '.join(sorted(names.get(each, each) for each in precisions))


def median(run: Run, name: str) -> str | None:
    """The median of the values that were logged under a name."""
    values = list(run.scalars.get(name, {}).values())
    if not values:
        return None
    found = float(np.median(values))
    return f'{found:.3g}' if found < 1000 else f'{found:.0f}'


def differences(runs: Sequence[Run]) -> Markup | None:
    """A table of the settings and data that differ between runs; None for a single run."""
    flat = [
        {
            **flatten({k: v for k, v in run.config.items() if k not in PLACES}),
            **flatten(run.settings['data'], 'data'),
        }
        for run in runs
    ]
    keys = dict.fromkeys(key for each in flat for key in each)
    rows = [
        [tag('code', key), *(tag('code', each.get(key, '–')) for each in flat)]
        for key in keys
        if len({each.get(key) for each in flat}) > 1
    ]
    if len(runs) < 2:
        return None
    return details(
        f'Settings that differ: {len(rows)}',
        table([['', *(run.name for run in runs)]], rows),
        open_=len(rows) <= 12,
    )


def flatten(value: Any, key: str = '') -> dict[str, str]:
    """Flatten nested settings to dotted keys, with their values as JSON."""
    if isinstance(value, dict) and value:
        pairs = ((f'{key}.{name}'.lstrip('.'), each) for name, each in value.items())
        return {k: v for name, each in pairs for k, v in flatten(each, name).items()}
    return {key: json.dumps(value, default=str)}


def environments(groups: Sequence[Group]) -> Markup:
    """The section with versions and hardware."""
    runs = [run for group in groups for run in group.runs]
    keys = dict.fromkeys(key for run in runs for key in run.environment)
    rows = []
    for key in keys:
        values = [group.each(lambda run: run.environment.get(key, '–')) for group in groups]  # noqa: B023
        kind = 'differs' if len(set(values)) > 1 else None
        rows.append([key, *(tag('td', value, class_=kind) for value in values)])
    without = [run.name for run in runs if not run.environment]
    return section(
        'Versions and hardware',
        table([['', *map(group_name, groups)]], rows) if rows else None,
        paragraph(f'Not recorded by: {", ".join(without)}.') if without else None,
        id='versions',
    )
