"""Estimate the time of training steps on a GPU: mlcl roofline CONFIG [CONFIG ...].

No GPU is needed: the operations of a step are counted on tensors without values. It prints two
tables and, as the last line, the same figures as JSON.
"""

import argparse
import json
from pathlib import Path

from mmengine.registry import init_default_scope
from prettytable import PrettyTable, TableStyle

from mlcl_mmseg.benchmark.fake_cuda import CountedStep, count_step
from mlcl_mmseg.benchmark.roofline import Assumptions, Card, estimate, exchange_ms, step_ms, total
from mlcl_mmseg.benchmark.step_parts import PARTS
from mlcl_mmseg.command_line import add_cfg_options, count, load_config
from mlcl_mmseg.engine.precision import PRECISIONS
from mlcl_mmseg.tool_exit import end_with_sentence

CARD, ASSUMPTIONS = Card(), Assumptions()
# arguments: default and meaning
OF_CARD = {
    **{f'{name}_tflops': (value, f'TFLOP/s of {name}') for name, value in CARD.tflops.items()},
    'bandwidth': (CARD.bandwidth, 'memory bandwidth in TB/s'),
    'link': (CARD.link, 'bandwidth between cards in GB/s and direction'),
}
ASSUMED = dict(
    host_us=(ASSUMPTIONS.host_us, 'microseconds of the host for an operation'),
    kernel_us=(ASSUMPTIONS.kernel_us, 'microseconds of the device for the smallest operation'),
    product_efficiency=(ASSUMPTIONS.product_efficiency, 'share of TFLOP/s that is reached'),
    memory_efficiency=(ASSUMPTIONS.memory_efficiency, 'share of the bandwidth that is reached'),
)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Estimate the time of training steps on a GPU. No GPU is needed.'
    )
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='config file')
    parser.add_argument(
        '--precision', nargs='+', choices=PRECISIONS, default=['tf32', 'bf16'], dest='precisions'
    )
    parser.add_argument(
        '--gpus', type=count, default=8, help='number of cards that train together (default: 8)'
    )
    parser.add_argument('--markdown', action='store_true', help='print only tables, as Markdown')
    for title, arguments in (
        ("the card, by default an H100 SXM as in NVIDIA's data sheet", OF_CARD),
        ('assumptions', ASSUMED),
    ):
        group = parser.add_argument_group(title)
        for name, (value, meaning) in arguments.items():
            group.add_argument(
                f'--{name.replace("_", "-")}',
                type=positive,
                default=value,
                help=f'{meaning} (default: {value})',
            )
    add_cfg_options(parser)
    return parser.parse_args()


def positive(text: str) -> float:
    """Parse an argument that is a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text!r} is not a number above 0')
    return value


def estimates(args: argparse.Namespace) -> list[dict]:
    """Estimate a step of every config in every precision; returns the figures by name."""
    tflops = {name: getattr(args, f'{name}_tflops') for name in CARD.tflops}
    card = Card(tflops, args.bandwidth, args.link)
    assumptions = Assumptions(**{name: getattr(args, name) for name in ASSUMED})
    found = []
    for path in args.configs:
        config = load_config(path, args.cfg_options, None, 'none')
        steps: dict[str, CountedStep] = {}
        for precision in args.precisions:
            # tf32 is a setting of the GPU, which changes no operation
            counted = 'fp32' if precision == 'tf32' else precision
            if counted not in steps:
                steps[counted] = count_step(config, counted)
            parts = estimate(steps[counted].counter.operations, precision, card, assumptions)
            whole = total(parts.values())
            exchange = exchange_ms(steps[counted].gradient_bytes, args.gpus, card)
            found.append(
                dict(
                    config=path,
                    precision=precision,
                    **whole._asdict(),
                    step_ms=step_ms(whole),
                    gpus=args.gpus,
                    exchange_ms=exchange,
                    parts={name: part._asdict() for name, part in parts.items()},
                )
            )
    return found


def tables_of(found: list[dict], gpus: int) -> list[PrettyTable]:
    """Make a table of steps, and one of the device's time for each part."""
    steps = PrettyTable(
        [
            *('config', 'precision', 'operations', 'TFLOP', 'GB', 'device ms', 'host ms'),
            *('step ms', f'exchange of {gpus} GPUs ms'),
        ]
    )
    parts = PrettyTable(['config', 'precision', *PARTS])
    for each in found:
        name = [Path(each['config']).stem, each['precision']]
        times = [each[key] for key in ('device_ms', 'host_ms', 'step_ms', 'exchange_ms')]
        costs = [each['operations'], f'{each["tflop"]:.2f}', f'{each["gigabytes"]:.1f}']
        steps.add_row([*name, *costs, *(f'{time:.1f}' for time in times)])
        of_parts = [each['parts'].get(part) for part in PARTS]
        parts.add_row([*name, *(f'{part["device_ms"]:.1f}' if part else '' for part in of_parts)])
    for table in (steps, parts):
        table.align = 'r'
        table.align['config'] = table.align['precision'] = 'l'
    return [steps, parts]


def main() -> None:
    """Estimate, and print tables and a line of JSON."""
    args = parse_args()
    init_default_scope('mmseg')
    found = estimates(args)
    titles = ('An estimate, not a measurement:', 'Milliseconds of the device for each part:')
    for title, table in zip(titles, tables_of(found, args.gpus)):
        if args.markdown:
            table.set_style(TableStyle.MARKDOWN)
        print(f'{title}\n\n{table}\n')
    if not args.markdown:
        print(json.dumps(found))


if __name__ == '__main__':
    end_with_sentence(main)
