"""Check every file that a config would read: mlcl check_data CONFIG."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from mmseg.utils import register_all_modules
from prettytable import PrettyTable

import mlcl_mmseg  # noqa: F401
from mlcl_mmseg.command_line import add_cfg_options, check_writable, count, load_config
from mlcl_mmseg.datasets.data_report import DataReport, DomainReport
from mlcl_mmseg.datasets.full_check import check_config_data
from mlcl_mmseg.durable_files import write_durably, writing_durably
from mlcl_mmseg.errors import InputError, printable
from mlcl_mmseg.outputs import add_overwrite, check_outputs
from mlcl_mmseg.tool_exit import end_with_sentence

SHOWN = 20


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Check every file that a config would read. Exit with code 1 if any is wrong.'
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('--json', type=Path, help='write the report to this JSON file')
    parser.add_argument(
        '--chart',
        type=Path,
        help='write the chart to this file (default: work_dirs/check_data/CONFIG.png)',
    )
    add_overwrite(parser)
    parser.add_argument(
        '--workers', type=count, help='number of processes (default: one for each CPU core)'
    )
    add_cfg_options(parser)
    return parser.parse_args()


def print_table(report: DataReport) -> None:
    """Print the images, labelled and ignored pixels and class shares of each domain."""
    labelled = [domain for domain in report.domains if domain.class_pixels]
    table = PrettyTable(
        ['domain', 'images', 'size', 'missing labels', 'labelled pixels', 'ignored (%)']
    )
    table.align = 'r'
    for domain in report.domains:
        labels = ['-', '-']
        if domain.ignored is not None:
            labels = [f'{sum(domain.class_pixels.values()):,}', f'{100 * domain.ignored:.2f}']
        missing = len(domain.missing_labels)
        table.add_row([printable(domain.name), domain.num_images, size(domain), missing, *labels])
    print(table)
    if labelled:
        table = PrettyTable(['pixels (%)', *(printable(domain.name) for domain in labelled)])
        table.align = 'r'
        for name in labelled[0].class_pixels:
            table.add_row([name, *(f'{100 * share(domain, name):.2f}' for domain in labelled)])
        print(table)


def size(domain: DomainReport) -> str:
    """Return the most frequent image size of a domain and the number of other sizes."""
    most, *others = domain.sizes or ['-']
    return f'{most} and {len(others)} others' if others else most


def share(domain: DomainReport, name: str) -> float:
    """Return the fraction of a class among the pixels that are not ignored, 0 to 1."""
    return domain.class_pixels.get(name, 0) / max(1, sum(domain.class_pixels.values()))


def draw(report: DataReport, path: Path) -> None:
    """Draw the class shares as bars on a logarithmic scale, with one colour for each domain."""
    labelled = [domain for domain in report.domains if domain.class_pixels]
    figure, axes = pyplot.subplots(figsize=(11, 5), layout='constrained')
    for number, domain in enumerate(labelled):
        places = [
            place + (number + 0.5) / (len(labelled) + 1)
            for place in range(len(domain.class_pixels))
        ]
        values = [100 * share(domain, name) for name in domain.class_pixels]
        axes.bar(places, values, 0.8 / len(labelled), align='edge', label=printable(domain.name))
    names = list(labelled[0].class_pixels) if labelled else []
    axes.set_xticks([place + 0.5 for place in range(len(names))], names, rotation=40, ha='right')
    axes.set(yscale='log', ylabel='share of labelled pixels (%)', title='Classes per domain')
    axes.legend()
    with writing_durably(path, 'start again') as partial:
        figure.savefig(partial, dpi=110)
    pyplot.close(figure)


def check_chart(path: Path) -> None:
    """Check that the suffix of the chart is a format in which it can be drawn.

    Raises:
        InputError: If it is not.
    """
    formats = FigureCanvasAgg.get_supported_filetypes()
    if path.suffix.lower().removeprefix('.') not in formats:
        raise InputError(
            f'{path} cannot be drawn: choose another --chart, with one of the suffixes '
            f'{", ".join(formats)}.'
        )


def main() -> None:
    """Check the data of the config that the command line names."""
    args = parse_args()
    register_all_modules()
    config = load_config(args.config, args.cfg_options, None, 'none')
    chart = args.chart or Path('work_dirs', 'check_data', f'{Path(args.config).stem}.png')
    for option, path in (('--chart', args.chart), ('--json', args.json)):
        if path is not None:
            check_outputs([path], [args.config], args.overwrite, option)
    check_chart(chart)
    check_writable(str(chart.parent), '--chart')
    if args.json is not None:
        check_writable(str(args.json.parent), '--json')
    report = check_config_data(config, args.workers)
    print_table(report)
    draw(report, chart)
    missing = [label for domain in report.domains for label in domain.missing_labels]
    for title, lines in (
        ('Note', report.notes),
        ('Missing', missing),
        ('Wrong', report.problems),
    ):
        for line in lines[:SHOWN]:
            print(f'{title}: {printable(line)}')
        if len(lines) > SHOWN:
            print(f'{title}: and {len(lines) - SHOWN} more, see --json.')
    if args.json is not None:
        content = dict(ok=not report.problems, **dataclasses.asdict(report))
        write_durably(args.json, (json.dumps(content, indent=1) + '\n').encode(), 'start again')
    print(f'{printable(chart)} shows the classes. {len(report.problems)} problems found.')
    sys.exit(1 if report.problems else 0)


if __name__ == '__main__':
    end_with_sentence(main)
