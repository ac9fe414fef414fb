"""Curves of the mIoU of each domain, with the authors' curves, and of the training log."""

from collections.abc import Sequence

from .chart import MOST_POINTS, Line, line_chart
from .groups import Group, published_settings
from .markup import Markup, details, paragraph, section, tag
from .overview import domains_of, group_name

# logged values that say nothing about the training and are not drawn
BOOKKEEPING = ('iter', 'step', 'epoch', 'time', 'data_time', 'eta', 'memory', 'grad_norm')


def legend(groups: Sequence[Group], dashed: str | None = None) -> Markup:
    """The colours of the groups, and the meaning of dashed lines."""
    return tag(
        'p',
        [group_name(group) for group in groups],
        tag('span', tag('i', class_='dash'), dashed, class_='name') if dashed else None,
        class_='legend',
    )


def validation_curves(groups: Sequence[Group]) -> Markup:
    """The section with a chart of mIoU by iteration for each domain."""
    published = {each.setting: each.curve for each in published_settings(groups)}
    # the authors' curve has the colour of the first group that trains the setting
    colours = {
        group.published.setting: group.colour for group in reversed(groups) if group.published
    }
    charts = []
    for domain in [*domains_of(groups), 'mean']:
        lines = []
        for setting, curve in published.items():
            values = {step: row[domain] for step, row in curve.items() if domain in row}
            lines.append(Line(f'the authors’ {setting}', values, colours[setting], dashed=True))
        for group in groups:
            means, spread = group.curve(
                lambda run: {k: row[domain] for k, row in run.validations.items() if domain in row}  # noqa: B023
            )
            lines.append(Line(group.name, means, group.colour, spread=spread))
        if any(line.values for line in lines if not line.dashed):
            charts.append(line_chart(f'{domain}, mIoU (%)', lines))
    content = (
        [
            legend(groups, 'the authors’' if any(published.values()) else None),
            tag('div', charts, class_='charts'),
        ]
        if charts
        else paragraph('Nothing has been validated yet.')
    )
    return section('Validations', content, id='validations')


def training_curves(groups: Sequence[Group]) -> Markup:
    """The section with charts of all losses and all other logged values."""
    logged = dict.fromkeys(name for group in groups for run in group.runs for name in run.scalars)
    names = [name for name in logged if name not in BOOKKEEPING]
    losses = [name for name in names if 'loss' in name]
    others = [name for name in names if 'loss' not in name]

    def charts(chosen: Sequence[str]) -> Markup:
        drawn = []
        for name in chosen:
            lines = []
            for group in groups:
                means, spread = group.curve(lambda run: run.scalars.get(name, {}))  # noqa: B023
                lines.append(Line(group.name, means, group.colour, spread=spread))
            if any(line.values for line in lines):
                drawn.append(line_chart(name, lines))
        return tag('div', drawn, class_='charts')

    return section(
        'Training',
        legend(groups),
        tag('h3', 'Losses'),
        charts(losses),
        details('Learning rates and other figures', charts(others), open_=len(others) <= 6),
        paragraph(
            f'Logged values by iteration; if there are more than {MOST_POINTS}, neighbours are '
            'averaged.'
        ),
        id='training',
    )
