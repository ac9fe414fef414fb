"""Compare the validations of a run with the authors': mlcl compare_published WORK_DIR."""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot
from prettytable import PrettyTable

from mlcl_mmseg.durable_files import writing_durably
from mlcl_mmseg.engine.config_record import CONFIG, read_config
from mlcl_mmseg.errors import InputError, MissingFileError, printable
from mlcl_mmseg.methods.mcl.released.published import (
    compare,
    fluctuation,
    published_curve,
    published_results,
    setting_of,
)
from mlcl_mmseg.outputs import add_overwrite, check_outputs
from mlcl_mmseg.report.run import read_lines, validations_of
from mlcl_mmseg.tool_exit import end_with_sentence

SUFFIXES = ('.png', '.svg', '.pdf')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Compare the validations of a run of MCL with the authors' curve; this also "
        'works while the run is training.'
    )
    parser.add_argument('work_dir', type=Path, help='work dir of a run of MCL')
    parser.add_argument(
        '--setting',
        choices=published_results(),
        help="the authors' setting (default: that of the config)",
    )
    parser.add_argument(
        '--out',
        type=Path,
        help='the figure (default: WORK_DIR/published.png, which is replaced if it exists)',
    )
    add_overwrite(parser)
    return parser.parse_args()


def print_table(
    found: dict[int, dict[str, float]], differences: dict[int, dict[str, float]]
) -> None:
    """Print the mIoU of the run, with the differences from the authors' in brackets."""
    names = list(next(iter(differences.values())))
    table = PrettyTable(['iteration', *names])
    table.align = 'r'
    for iteration, row in differences.items():
        table.add_row(
            [iteration, *(f'{found[iteration][name]:.2f} ({row[name]:+.2f})' for name in names)]
        )
    print(table)


def draw(
    found: dict[int, dict[str, float]],
    published: dict[int, dict[str, float]],
    setting: str,
    path: Path,
) -> None:
    """Plot both curves, with a colour per domain: the run solid, the authors dashed."""
    figure, axes = pyplot.subplots(figsize=(9, 5), layout='constrained')
    for number, name in enumerate(next(iter(published.values()))):
        for curve, style, owner in ((published, '--', 'authors'), (found, '-', 'this run')):
            steps = sorted(curve)
            values = [curve[step][name] for step in steps]
            axes.plot(
                steps, values, style, marker='.', color=f'C{number}', label=f'{name}, {owner}'
            )
    axes.set(xlabel='iteration', ylabel='mIoU (%)', title=f'{setting}: validations of MCL')
    axes.grid(alpha=0.3)
    axes.legend()
    with writing_durably(path, 'start again') as partial:
        figure.savefig(partial, dpi=110)


def main() -> None:
    """Compare the run that the command line names."""
    args = parse_args()
    if args.out is not None:
        check_outputs([args.out], overwrite=args.overwrite)
        if args.out.suffix not in SUFFIXES:
            raise InputError(f'--out {args.out} must end with {" or ".join(SUFFIXES)}: rename it.')
    config = read_config(args.work_dir / CONFIG)
    setting = args.setting or setting_of(config)
    published = published_curve(setting)
    targets = published_results()[setting]['targets']
    validated = [domain.domain for domain in config.val_dataloader.dataset.domains]
    if not set(targets) <= set(validated):
        raise InputError(
            f'{setting} is validated on {", ".join(targets)}, but this run on '
            f'{", ".join(validated)}: choose another --setting.'
        )
    found = validations_of(read_lines(args.work_dir))
    if not found:
        raise MissingFileError(
            f'{args.work_dir} has no validations (*/vis_data/scalars.json): pass the work dir of '
            'a run that has been validated.'
        )
    differences = compare(found, published)
    print_table(found, differences)
    last = list(differences.values())[-3:]
    print(
        f"mIoU (%), in brackets the difference from the authors' {setting}. Mean over the targets, "
        f'last {len(last)} validations: {sum(row["mean"] for row in last) / len(last):+.2f}. The '
        f"authors' mean changes by {fluctuation(published):.2f} from one validation to the next "
        '(median).'
    )
    picture = args.out or args.work_dir / 'published.png'
    draw(found, published, setting, picture)
    print(f'{printable(picture)} shows both curves.')


if __name__ == '__main__':
    end_with_sentence(main)
