"""Demonstrate adaptation: draw a toy world, train all stages on it, compare them per domain."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmseg.registry import DATASETS
from mmseg.utils import register_all_modules
from prettytable import PrettyTable

from mlcl_mmseg.datasets.config_domains import working_size
from mlcl_mmseg.datasets.image_files import open_image
from mlcl_mmseg.deployment.pictures import write_picture
from mlcl_mmseg.durable_files import write_durably
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.report.page import write_report
from mlcl_mmseg.shipped import CONFIGS, TOOLS
from mlcl_mmseg.tool_exit import end_with_sentence
from mlcl_mmseg.toy_world import MARKER, write_toy_world
from mlcl_mmseg.visualization.cells import CellPainter, cell_size
from mlcl_mmseg.visualization.contact_sheet import Section, contact_sheet

DEMO = CONFIGS / 'demo'
STAGES = ('source_only', 'warmup', 'mlcl')
IMAGES, VALIDATION_IMAGES, SIZE = 160, 40, (256, 128)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Draw a toy world, train all stages on it and compare them per domain.'
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the toy world and training')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo'))
    return parser.parse_args()


def run_tool(tool: str, config: str, *arguments: str | Path) -> None:
    """Run another tool and show its output.

    Raises:
        SystemExit: If the tool fails.
    """
    command = [sys.executable, TOOLS / tool, DEMO / f'{config}.py', *arguments]
    done = subprocess.run([str(part) for part in command])
    if done.returncode:
        sys.exit(f'The demo has stopped, because {tool} failed on {config}: see the error above.')


def train(work_dir: Path, seed: int, options: Sequence[str] = ()) -> float:
    """Train on the source only, then warm-up and MCL with one command.

    Args:
        work_dir (Path): Folder in which each command gets a work dir.
        seed (int): Seed of the training.
        options (Sequence[str]): Settings for all stages, as KEY=VALUE.

    Returns:
        float: Duration in seconds.
    """
    start = time.perf_counter()
    options = [f'randomness.seed={seed}', *options]
    warmup_options = [f'warmup.{option}' for option in options]
    for stage, extra in (('source_only', []), ('mlcl', warmup_options)):
        changes = ['--cfg-options', *options, *extra]
        run_tool('train.py', stage, '--work-dir', work_dir / stage, *changes)
    return time.perf_counter() - start


def stage_folder(work_dir: Path, stage: str) -> Path:
    """The work dir of a stage."""
    return work_dir / 'mlcl' / 'warmup' if stage == 'warmup' else work_dir / stage


def test(work_dir: Path, stage: str) -> dict[str, float]:
    """Test the best checkpoint of a stage and store its predictions.

    Returns:
        dict[str, float]: mIoU of each domain and their ``mean``, in percent.
    """
    folder = stage_folder(work_dir, stage)
    (checkpoint,) = folder.glob('best_mIoU_iter_*.pth')
    figures = folder / 'test'
    run_tool('test.py', stage, checkpoint, '--work-dir', figures, '--out', folder / 'predictions')
    (written,) = figures.glob('*/*.json')
    metrics = json.loads(written.read_text())
    domains = [key.removeprefix('mIoU/') for key in metrics if key.startswith('mIoU/')]
    return {**{name: metrics[f'mIoU/{name}'] for name in domains}, 'mean': metrics['mIoU']}


def table(stages: dict[str, dict[str, float]]) -> str:
    """A table of the mIoU per stage and domain."""
    lines = PrettyTable(['mIoU (%)', *stages[STAGES[0]]])
    for stage, figures in stages.items():
        lines.add_row([stage, *(f'{value:.2f}' for value in figures.values())])
    return str(lines)


def picture(work_dir: Path) -> np.ndarray:
    """A contact sheet with the first validation image of each domain.

    Each image is shown with the predictions of all stages and the ground truth.
    """
    register_all_modules()
    config = Config.fromfile(DEMO / 'mlcl.py')
    validation = DATASETS.build(config.test_dataloader.dataset)
    classes, palette = validation.metainfo['classes'], validation.metainfo['palette']
    paint = CellPainter(palette, cell_size(working_size(config)[::-1]))
    rows = []
    for domain in validation.datasets:
        sample = domain[0]
        image, data_sample = sample['inputs'].flip(0) / 255, sample['data_samples']
        name = f'{data_sample.domain}/{data_sample.sample_name}.png'
        predictions = [
            torch.from_numpy(
                np.array(open_image(stage_folder(work_dir, stage) / 'predictions' / name))
            )
            for stage in STAGES
        ]
        indices = [*predictions, data_sample.gt_sem_seg.data[0]]
        cells = [paint.classes(image, index) for index in indices]
        rows.append((data_sample.domain, [paint.image(image), *cells]))
    headings = ('image', 'source only', 'warm-up', 'MCL', 'truth')
    return contact_sheet([Section('', headings, rows)], (), classes, palette)


def report(work_dir: Path, seconds: float) -> None:
    """Compare the stages: print a table, and write figures, example images and a report page."""
    stages = {stage: test(work_dir, stage) for stage in STAGES}
    figures = work_dir / 'report.json'
    text = json.dumps(dict(seconds=seconds, stages=stages), indent=1) + '\n'
    write_durably(figures, text.encode(), 'start again')
    write_picture(work_dir / 'picture.png', picture(work_dir), 'start again')
    print(table(stages))
    print(
        f'Trained in {seconds:.0f} s. The figures are in {figures}, example predictions in '
        'picture.png next to it.'
    )
    page = work_dir / 'report.html'
    write_report([stage_folder(work_dir, stage) for stage in STAGES], page)
    print(f'{page} shows the runs: open it in a browser.')


def main() -> None:
    """Run the demo."""
    args = parse_args()
    is_demo = (args.work_dir / 'data' / MARKER).is_file()
    for stage in STAGES:
        if (args.work_dir / stage).exists() and not is_demo:
            raise InputError(
                f'{args.work_dir / stage} does not belong to a demo and would be removed: choose '
                'another --work-dir.'
            )
    os.environ['MLCL_DATA_ROOT'] = str(args.work_dir / 'data')
    write_toy_world(
        args.work_dir / 'data', IMAGES, SIZE, args.seed, VALIDATION_IMAGES, replace=True
    )
    for stage in STAGES:
        shutil.rmtree(args.work_dir / stage, ignore_errors=True)
    seconds = train(args.work_dir, args.seed)
    report(args.work_dir, seconds)


if __name__ == '__main__':
    end_with_sentence(main)
