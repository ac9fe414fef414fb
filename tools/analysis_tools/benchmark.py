"""Measure what a config costs: mlcl benchmark step --config CONFIG.

It needs no data set. It prints a table and, as the last line, the same figures as JSON.
"""

import argparse
import itertools
import json
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from prettytable import PrettyTable

from mlcl_mmseg.benchmark.arithmetic import operations_of_step
from mlcl_mmseg.benchmark.clock import milliseconds, peak_memory
from mlcl_mmseg.benchmark.inputs import drawn_frames, random_batch, sizes_of
from mlcl_mmseg.benchmark.loading import loaded_dataset
from mlcl_mmseg.benchmark.step_parts import step_parts
from mlcl_mmseg.benchmark.throughput import use_cudnn_benchmark
from mlcl_mmseg.benchmark.training import (
    Training,
    batches_of,
    build_segmentor,
    hook_of,
    images_per_step,
)
from mlcl_mmseg.benchmark.whole_images import labelling, prediction
from mlcl_mmseg.command_line import add_cfg_options, load_config
from mlcl_mmseg.datasets import StreamPosition
from mlcl_mmseg.engine.precision import PRECISIONS, check_precision, computing_in
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.methods.base import DomainSegmentor
from mlcl_mmseg.pseudo_labels import PseudoLabelGeneration
from mlcl_mmseg.tool_exit import end_with_sentence

# steps that follow one another between two waits for a GPU, by device
STEPS = dict(cuda=5, cpu=1)


class Measured(NamedTuple):
    """A measurement.

    Attributes:
        run (Callable): The function to time.
        images (int): Number of images that the function processes each time it does its work.
        times (int): How often it does its work in a call.
        more_figures (Callable, optional): It returns further figures to print; its argument is the
            median time of the work in milliseconds.
    """

    run: Callable[[], object]
    images: int
    times: int = 1
    more_figures: Callable[[float], dict[str, object]] | None = None


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Measure what a config costs')
    parser.add_argument('what', choices=[*MEASURES], help='what to measure')
    parser.add_argument('--config', required=True, help='config file')
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    parser.add_argument('--iters', type=int, default=10, help='number of timed calls')
    parser.add_argument('--precision', choices=PRECISIONS, default='fp32')
    parser.add_argument(
        '--unprepared',
        action='store_true',
        help='let the loader read the original images',
    )
    add_cfg_options(parser)
    return parser.parse_args()


def prepared_batch(config: Config, segmentor: DomainSegmentor) -> dict:
    """Random inputs of a training step, on the device of the segmentor."""
    _, crop = sizes_of(config)
    return segmentor.data_preprocessor(random_batch(config, crop), True)['inputs']


def operation_of(config: Config, args: argparse.Namespace, folder: Path) -> Measured:
    """Measure an operation of the training step that the method offers for measuring.

    Raises:
        InputError: If the method does not offer the operation.
    """
    segmentor = build_segmentor(config, args.device)
    inputs = prepared_batch(config, segmentor)
    operations = segmentor.measured_operations(inputs)
    if args.what not in operations:
        raise InputError(
            f'{args.config} has no operation {args.what} ({type(segmentor).__name__} has '
            f'{", ".join(operations) or "none"}): choose the config of a method that has it.'
        )

    def run() -> object:
        with computing_in(args.precision, args.device):
            return operations[args.what]()

    return Measured(run, len(inputs['source']['img']))


def check_pseudo_labels(config: Config, args: argparse.Namespace) -> dict:
    """The config of the hook that stores pseudo-labels.

    Raises:
        InputError: If there is no such hook.
    """
    hook = hook_of(config, 'PseudoLabelHook')
    if hook is None:
        raise InputError(
            f'{args.config} stores no pseudo-labels: choose a config with PseudoLabelHook.'
        )
    return hook


def measure_loader(config: Config, args: argparse.Namespace, folder: Path) -> Measured:
    """Measure loading a target sample (image, both views, soft label) in this process."""
    dataset = loaded_dataset(config, folder, not args.unprepared)
    if not dataset.targets:
        raise InputError(f'{args.config} has no targets: choose the config of a method with some.')
    positions = itertools.count()
    return Measured(
        lambda: dataset.domain_sample(1, StreamPosition(0, next(positions))),
        1,
        more_figures=lambda milliseconds: dict(prepared=not args.unprepared),
    )


def measure_step(config: Config, args: argparse.Namespace, folder: Path) -> Measured:
    """Measure training steps that follow one another: forward and backward pass, and update."""
    training = Training(config, build_segmentor(config, args.device), args.precision)
    batches = batches_of(config, args.device)
    batch = next(batches)

    def step() -> object:
        return training.step(next(batches))

    def steps() -> None:
        for _ in range(STEPS[args.device]):
            step()

    def more_figures(milliseconds: float) -> dict[str, object]:
        """The share of time of each part of the step, its arithmetic, and the speed of it."""
        seconds = step_parts(step, args.device)
        total = sum(seconds.values())
        operations = operations_of_step(training.segmentor, batch)
        return dict(
            shares={part: round(each / total, 3) for part, each in seconds.items()},
            tflop=round(operations / 1e12, 3),
            tflop_per_second=round(operations / 1e9 / milliseconds, 3),
        )

    return Measured(steps, images_per_step(batch), STEPS[args.device], more_figures)


def measure_pseudo(config: Config, args: argparse.Namespace, folder: Path) -> Measured:
    """Measure pseudo-labels of a batch of whole images: network, encoding and writing.

    Decoding the images is not included.
    """
    hook = check_pseudo_labels(config, args)
    label, images = labelling(config, args.device, args.precision, hook.get('batch_size', 16))
    generation = PseudoLabelGeneration(folder, 0)
    generation.begin()

    def run() -> None:
        for number, each in enumerate(label().cpu().numpy()):
            generation.write(config.model.targets[0], str(number), each)

    return Measured(run, images)


def measure_inference(config: Config, args: argparse.Namespace, folder: Path) -> Measured:
    """Measure predicting a batch of whole images with the deployed head, as in validation."""
    return Measured(*prediction(config, args.device, args.precision))


MEASURES = dict(
    loader=measure_loader,
    style=operation_of,
    select=operation_of,
    step=measure_step,
    pseudo=measure_pseudo,
    inference=measure_inference,
)


def measure(args: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Run the measurement that the command line chooses.

    Args:
        args (argparse.Namespace): The command line.
        folder (Path): Folder for files that the measured functions write.

    Returns:
        dict[str, object]: The figures by name.

    Raises:
        InputError: If the device or the precision is not available, or if the config lacks the
            part to measure.
    """
    if args.device == 'cuda' and not torch.cuda.is_available():
        raise InputError('--device cuda needs a GPU: use --device cpu.')
    if args.iters < 1:
        raise InputError(f'--iters is {args.iters}: use a number from 1.')
    if args.what == 'loader':
        # the loader runs on the CPU, and its precision is fixed
        args.device, args.precision = 'cpu', 'fp32'
    check_precision(args.precision, args.device == 'cuda')
    config = load_config(args.config, args.cfg_options, None, 'none')
    use_cudnn_benchmark(config)
    init_default_scope('mmseg')
    measured = MEASURES[args.what](config, args, folder)
    times = milliseconds(measured.run, args.device, args.iters) / measured.times
    median, p90 = np.percentile(times, (50, 90))
    figures = dict(
        what=args.what,
        config=args.config,
        device=args.device,
        precision=args.precision,
        ms_median=round(median, 3),
        ms_p90=round(p90, 3),
        images_per_second=round(1000 * measured.images / median, 3),
        peak_memory_mb=round(peak_memory(args.device), 1),
    )
    if measured.more_figures is not None:
        figures.update(measured.more_figures(median))
    return figures


def main() -> None:
    """Measure, and print a table and a line of JSON."""
    args = parse_args()
    frames = drawn_frames() if args.what == 'loader' else nullcontext()
    with frames, tempfile.TemporaryDirectory() as folder:
        figures = measure(args, Path(folder))
    table = PrettyTable(['figure', 'value'])
    table.align['value'] = 'r'
    for name, value in figures.items():
        for part, each in value.items() if isinstance(value, dict) else [('', value)]:
            table.add_row([f'{name} {part}'.strip(), each])
    print(table)
    print(json.dumps(figures))


if __name__ == '__main__':
    end_with_sentence(main)
